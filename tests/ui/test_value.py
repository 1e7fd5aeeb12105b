from __future__ import annotations

import json

import msgspec

from tests.ui import samples
from tests.ui.samples import card


def test_an_output_is_cut_at_two_kilobytes_and_eight_lines_and_says_so() -> None:
    long = msgspec.structs.replace(samples.completed(), output_json=json.dumps([f"item {n}" for n in range(500)]))
    output = card(long).output
    assert output is not None
    assert output.is_cut
    assert output.text.count("\n") == 7
    huge = msgspec.structs.replace(samples.completed(), output_json=json.dumps("x" * 5_000_000), output_size=5_000_002)
    output = card(huge).output
    assert output is not None
    assert output.is_cut
    assert len(output.text) <= 2000
    assert output.size == "5 MB"


def test_an_output_that_was_left_out_names_its_size() -> None:
    run = msgspec.structs.replace(samples.completed(), output_json=None, output_size=3_000_000)
    output = card(run).output
    assert output is not None
    assert output.size == "3 MB"


def test_not_a_number_in_an_output_is_shown() -> None:
    run = msgspec.structs.replace(samples.completed(), output_json='{"loss":{"$float":"nan"}}')
    output = card(run).output
    assert output is not None
    assert output.flat == '{"loss": NaN}'
