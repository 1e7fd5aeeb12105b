"""Which paragraphs of the behaviour there are, and that each has a test named after it, or a reason why it has none.

`test_29_2_…` is about paragraph 29.2. A paragraph that loses its last test fails here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
LAST = {  # of each section, its last paragraph
    1: 4,
    2: 6,
    3: 10,
    4: 5,
    5: 6,
    6: 5,
    7: 4,
    8: 2,
    9: 4,
    10: 9,
    11: 5,
    12: 5,
    13: 7,
    15: 13,
    16: 3,
    17: 5,
    18: 9,
    19: 9,
    20: 14,
    21: 10,
    22: 9,
    23: 5,
    24: 3,
    25: 3,
    26: 5,
    27: 1,
    28: 2,
    29: 13,
    30: 3,
    31: 4,
    32: 12,
    34: 4,
    35: 6,
    38: 5,
}
NOT_HERE = {
    (3, 9): "there is one environment, and its runs are retried like any other",
    (13, 4): "kk.runs.subscribe follows a run; a parent that does not wait needs nothing else",
    (15, 12): "no rate limit on triggers: the engine is the person's own",
    (18, 5): "a token has no address until there is an HTTP gateway",
    (19, 4): "there is one environment, and its runs are suspended like any other",
    (32, 11): "schedules have no window to be spread over",
    (38, 4): "there are no deployments",
    (38, 5): "there are no deployments",
}
_NAME = re.compile(r"^(?:async )?def test_(\d{1,2})_(\d{1,2})_", re.MULTILINE)


@pytest.fixture(scope="module")
def tested() -> set[tuple[int, int]]:
    names = (_NAME.findall(path.read_text()) for path in TESTS.rglob("test_*.py"))
    return {(int(section), int(number)) for found in names for section, number in found}


@pytest.mark.parametrize("section", LAST)
def test_every_paragraph_has_a_test(section: int, tested: set[tuple[int, int]]) -> None:
    paragraphs = {(section, number) for number in range(1, LAST[section] + 1)}

    assert sorted(paragraphs - tested - NOT_HERE.keys()) == []


def test_what_is_said_to_have_no_test_has_none(tested: set[tuple[int, int]]) -> None:
    assert sorted(tested & NOT_HERE.keys()) == []
