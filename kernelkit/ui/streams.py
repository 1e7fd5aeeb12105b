"""The ends of a run's streams as its card shows them: texts as one running text, other values one a line."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from kernelkit import jsonvalues
from kernelkit.models.stream import StreamTail
from kernelkit.ui import words

STREAMS = 2
SHOWN_BYTES = 1_200
SHOWN_LINES = 6


class StreamView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of one stream. `is_cut`: there is more before it."""

    name: str
    count: str
    text: str
    is_cut: bool = False


def stream_views(tails: Sequence[StreamTail]) -> tuple[StreamView, ...]:
    """The first few output streams that have anything in them."""
    return tuple([_view(tail) for tail in tails if tail.chunks and not tail.is_input][:STREAMS])


def _view(tail: StreamTail) -> StreamView:
    values = [jsonvalues.decode(chunk) for chunk in tail.chunks]
    if all(isinstance(value, str) for value in values):
        whole = "".join(values)
    else:
        whole = "\n".join(json.dumps(value, ensure_ascii=False) for value in values)
    lines = words.clean_block(whole).split("\n")
    text = "\n".join(lines[-SHOWN_LINES:])
    raw = text.encode("utf-8", "replace")
    if len(raw) > SHOWN_BYTES:
        text = raw[-SHOWN_BYTES:].decode("utf-8", "ignore")
    is_cut = len(text) < len(words.clean_block(whole)) or tail.count > len(tail.chunks)
    count = f"{words.number(tail.count)} value{'' if tail.count == 1 else 's'}"
    return StreamView(words.cut(words.clean(tail.name), 60), count, ("…" if is_cut else "") + text, is_cut)
