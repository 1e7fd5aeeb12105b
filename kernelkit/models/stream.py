"""Streams of a run: rows of JSON values that are only ever added to, read live and kept with the run.

A stream is known by its run and its key: `out/NAME` is what the run's own code says to the world, `in/NAME` what the
world says to the run. What a newcomer would get wrong: state knows only how long a stream is; what is in it lies in
the store's `parts`, a row for each append.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

MAX_CHUNK_BYTES = 512 * 1024  # of JSON, one value of an output stream …
MAX_INPUT_BYTES = 1_000_000  # … and of an input stream
MAX_STREAM_BYTES = 300 * 1024 * 1024
MAX_STREAMS = 1_000  # of one run
MAX_NAME = 128
MAX_CHUNKS = 10_000  # of one append

OUT, IN = "out/", "in/"


class StreamLength(msgspec.Struct, omit_defaults=True, gc=False):
    """How much there is of a stream of a live run."""

    count: int = 0
    size: int = 0  # bytes of JSON


class StreamTail(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A stream as lists and cards show it: how long it is, and its last values as JSON texts."""

    key: str
    count: int
    size: int = 0
    chunks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return name_of_key(self.key)

    @property
    def is_input(self) -> bool:
        return is_input(self.key)


def last_of(chunks: Sequence[str], limit: int) -> tuple[str, ...]:
    """The last values that have room in `limit` characters of JSON.

    >>> last_of(["1", "22", "333"], 5)
    ('22', '333')
    """
    left, first = limit, len(chunks)
    while first and left >= len(chunks[first - 1]):
        first -= 1
        left -= len(chunks[first])
    return tuple(chunks[first:])


def is_input(key: str) -> bool:
    return key.startswith(IN)


def name_of_key(key: str) -> str:
    """The name by which a person knows the stream."""
    return key.partition("/")[2]
