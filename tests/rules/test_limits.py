from __future__ import annotations

import pytest

from kernelkit.errors import InvalidOptionError
from kernelkit.rules.limits import MAX_TAG_LENGTH, MAX_TAGS, check_tags


def test_tags_up_to_the_limits_are_fine() -> None:
    check_tags([])
    check_tags(["x" * MAX_TAG_LENGTH] * MAX_TAGS)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([str(n) for n in range(11)], "at most 10 tags; this one would have 11"),
        ([""], "The tag '' has 0 characters; 1 to 128 are allowed"),
        (["x" * 129], "has 129 characters"),
    ],
)
def test_tags_over_them_are_refused_in_words(tags: list[str], words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words):
        check_tags(tags)
