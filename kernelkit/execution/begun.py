"""Which attempts of a worker have begun, in memory that outlives it: the worker writes, its keeper reads at its end.

A worker that dies can report nothing, and an attempt whose code had not begun has lost nothing: it is dispatched
again and not counted as a failed one. What a newcomer would get wrong: a fence is noted before the first line of the
attempt's code and taken out only when its last report is on disk, so that "not noted" is safe to believe at any time.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable
from typing import Final, Protocol

_WIDTH: Final = 16  # bytes of a fence
_SLOTS: Final = 65_536
_SIZE: Final = _WIDTH * (_SLOTS + 1)  # the first slot counts those that have ever been in use
_EMPTY: Final = bytes(_WIDTH)
_UNKNOWN: Final = b"\xff" * _WIDTH  # in the first slot: there was one more than could be noted


class Begun(Protocol):
    """Notes the beginning of attempts, and that they are over."""

    def begin(self, fence: str) -> None: ...

    def over(self, fence: str) -> None: ...


class Nowhere:
    """For a worker without a keeper that asks."""

    def begin(self, fence: str) -> None:
        """Nothing is noted."""

    def over(self, fence: str) -> None:
        """Nothing was noted."""


class BegunNotes:
    """The worker's side. `begin` is called on one thread, `over` on any.

    >>> memory = make_memory()
    >>> notes = BegunNotes(os.dup(memory))
    >>> for fence in ("00000000000000f1", "00000000000000f2"):
    ...     notes.begin(fence)
    >>> notes.over("00000000000000f1")
    >>> read_memory(memory)
    ('00000000000000f2',)
    """

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, _SIZE)
        os.close(descriptor)
        self._places: dict[str, int] = {}
        self._free: list[int] = []
        self._used = 0

    def begin(self, fence: str) -> None:
        """Note that code of this attempt may be executed from now on."""
        text = fence.encode()
        if len(text) != _WIDTH or (not self._free and self._used == _SLOTS):
            self._map[:_WIDTH] = _UNKNOWN
            return
        if self._free:
            place = self._free.pop()
            self._map[place : place + _WIDTH] = text
        else:
            self._used += 1
            place = self._used * _WIDTH
            self._map[place : place + _WIDTH] = text
            if self._map[:_WIDTH] != _UNKNOWN:
                self._map[:_WIDTH] = self._used.to_bytes(_WIDTH, "little")
        self._places[fence] = place

    def over(self, fence: str) -> None:
        """Note that the last report of this attempt is on disk; it need not have begun."""
        place = self._places.pop(fence, None)
        if place is not None:
            self._map[place : place + _WIDTH] = _EMPTY
            self._free.append(place)


def make_memory() -> int:
    """A descriptor of fresh shared memory for a worker's notes; raises `OSError`."""
    if _memfd is not None:
        descriptor = _memfd("kernelkit-begun")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, _SIZE)
    return descriptor


def read_memory(descriptor: int) -> tuple[str, ...] | None:
    """The fences that are noted there, or None when there were too many to tell."""
    first = os.pread(descriptor, _WIDTH, 0)
    if first == _UNKNOWN:
        return None
    noted = os.pread(descriptor, int.from_bytes(first, "little") * _WIDTH, _WIDTH)
    slots = (noted[place : place + _WIDTH] for place in range(0, len(noted), _WIDTH))
    return tuple(slot.decode(errors="replace") for slot in slots if slot != _EMPTY)


_memfd: Callable[[str], int] | None = getattr(os, "memfd_create", None)  # Linux has it
