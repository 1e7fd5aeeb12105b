from __future__ import annotations

import re

from kernelkit.ids import make_id


def test_an_id_is_its_prefix_and_eighteen_characters_that_cannot_be_misread() -> None:
    assert re.fullmatch(r"run_[0-9a-hjkmnp-tv-z]{18}", make_id("run"))


def test_ids_sort_by_age() -> None:
    moments = [0, 1, 31, 32, 1_800_000_000_000, 1_800_000_000_001, 32**9 - 1]
    ids = [make_id("run", now_ms=moment, entropy=0) for moment in moments]

    assert ids == sorted(ids)
    assert len({len(one) for one in ids}) == 1


def test_ids_made_at_once_differ() -> None:
    assert len({make_id("run", now_ms=0) for _ in range(10_000)}) == 10_000
