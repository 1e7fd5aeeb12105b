"""What the command line makes of a payload."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kernelkit.cli.main import main
from kernelkit.cli.tasks import read_payload
from kernelkit.errors import InvalidOptionError, PayloadTooLargeError


def test_fields_are_json_where_they_read_as_json_and_text_otherwise() -> None:
    text = read_payload(["url=https://example.org/?a=b", "width=256", 'tags=["x"]', "note="])

    assert text == '{"url":"https://example.org/?a=b","width":256,"tags":["x"],"note":""}'


@pytest.mark.parametrize(
    ("word", "text"), [("[1, 2]", "[1,2]"), ('"just text"', '"just text"'), ('{"a=b": 1}', '{"a=b":1}'), ("7", "7")]
)
def test_one_word_that_is_no_field_is_the_whole_payload_as_json(word: str, text: str) -> None:
    assert read_payload([word]) == text


def test_no_words_are_no_payload() -> None:
    assert read_payload([]) == "null"


def test_a_word_that_is_neither_is_refused_with_what_to_write() -> None:
    with pytest.raises(InvalidOptionError, match="NAME=VALUE"):
        read_payload(["width=256", "height"])
    with pytest.raises(InvalidOptionError, match="is not JSON"):
        read_payload(["width"])


def test_a_payload_one_byte_over_the_limit_is_refused_before_anything_is_sent() -> None:
    largest = "x" * (3_145_728 - len('{"a":""}'))

    assert len(read_payload([f"a={largest}"])) == 3_145_728
    with pytest.raises(PayloadTooLargeError, match="3,145,729 bytes"):
        read_payload([f"a={largest}x"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5s", "--debounce is not JSON"),
        ('["k", "5s"]', "--debounce=.* is not JSON such as"),
        ('{"key": "k"}', "--debounce=.* is not JSON such as"),
        ('{"key": "", "delay": "5s"}', "debounce key"),
        ('{"key": "k", "delay": "soon"}', "delay='soon' of a debounce"),
        ('{"key": "k", "delay": "5s", "maxDelay": "1m"}', "maxDelay"),
    ],
)
def test_a_debounce_that_is_none_is_refused_before_an_engine_is_asked(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["trigger", "resize", "--debounce", text, "--home", str(tmp_path)])

    assert re.search(words, capsys.readouterr().err)
    assert not any(tmp_path.iterdir())
