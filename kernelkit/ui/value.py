"""A JSON value as a card shows it: laid out over a few lines, and flat on one; cut for show, with its kind and size.

A large one is shown from its text as it is, without being parsed for a look.
"""

from __future__ import annotations

import json

import msgspec

from kernelkit import jsonvalues
from kernelkit.ui import words

SHOWN_BYTES = 2000
DECODED_BYTES = 64_000


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: str
    size: str
    text: str
    flat: str  # on one line
    is_cut: bool = False


def value_view(
    text: str | None, size: int, *, told: str = "", max_bytes: int = SHOWN_BYTES, max_lines: int = 8
) -> Output:
    """A JSON value as a card shows it; `told` stands for one that is not at hand."""
    if text is None:
        return Output("large" if size else "None", words.size(size), told, "")
    shown_size = words.size(size or len(text.encode()))
    if len(text) > DECODED_BYTES:
        shown, _ = words.cut_block(words.clean_block(text[: max_bytes * 2]), max_bytes=max_bytes, max_lines=max_lines)
        kind = {"{": "dict", "[": "list", '"': "str"}.get(text[:1], "value")
        return Output(kind, shown_size, shown, words.clean(shown), True)
    value = jsonvalues.decode(text)
    shown, is_cut = words.cut_block(
        words.clean_block(words.fitted_json(value)), max_bytes=max_bytes, max_lines=max_lines
    )
    return Output("None" if value is None else type(value).__name__, shown_size, shown, flat(text, 0), is_cut)


def flat(text: str | None, size: int) -> str:
    """A JSON value on one line, with a blank after commas and colons, cut for show."""
    if text is None:
        return f"{words.size(size)}, not shown here" if size else ""
    if len(text) > DECODED_BYTES:
        return words.line(text[: SHOWN_BYTES * 2])
    return words.line(json.dumps(jsonvalues.decode(text), ensure_ascii=False))
