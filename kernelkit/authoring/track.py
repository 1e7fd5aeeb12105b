"""`kk.track(rows)`: a progress bar for a loop, drawn on the run's card.

Progress is metadata under the reserved key `kk.progress` (`PROGRESS_KEY`): a list with one object for each tracked
loop of the attempt, in the order in which they began:

    {"description": "Embedding",      # "" when none was given
     "done": 12, "total": 40,         # total is null when it is not known
     "started_at": 1790000000000000,  # UTC microseconds
     "at": 1790000003000000,          # when `done` was counted: time left = (at - started_at) / done * (total - done)
     "ended": false}                  # true once the loop has ended, early or not

The loop counts for itself and writes at most ten times a second, so tracking a million rows costs next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, TypeVar, overload

from kernelkit.authoring.metadata import state_of
from kernelkit.authoring.scope import Scope, current_scope
from kernelkit.errors import InvalidOptionError

PROGRESS_KEY = "kk.progress"
JOB_KEY = "kk.notebook"  # reserved as well: where a notebook job is (its shape: `execution/notebooks/progress.py`)
SHOWN_EVERY_S = 0.1

T = TypeVar("T")


@overload
def track(iterable: Iterable[T], *, description: str | None = None, total: int | None = None) -> Iterator[T]: ...
@overload
def track(
    iterable: AsyncIterable[T], *, description: str | None = None, total: int | None = None
) -> AsyncIterator[T]: ...
def track(
    iterable: Iterable[T] | AsyncIterable[T], *, description: str | None = None, total: int | None = None
) -> Iterator[T] | AsyncIterator[T]:
    """Go through `iterable`, plain or async, showing how far on the run's card.

    `total` is `len(iterable)` where it has one. Raises `NotInTaskError` outside a run.

        for row in kk.track(rows, description="Embedding"): ...
    """
    bar = _Bar(current_scope("kk.track(…)"), description or "", _total(iterable) if total is None else total)
    if isinstance(iterable, AsyncIterable):
        return bar.over_async(iterable)
    return bar.over(iterable)


def _total(iterable: object) -> int | None:
    try:
        return len(iterable)  # type: ignore[arg-type]  # asking is how one learns
    except TypeError:
        return None


class _Bar:
    def __init__(self, scope: Scope, description: str, total: int | None) -> None:
        if total is not None and (isinstance(total, bool) or not isinstance(total, int) or total < 0):
            raise InvalidOptionError(f"kk.track(total={total!r}): give a whole number from 0, or leave it out.")
        now = scope.now()
        self._scope = scope
        self._entry: dict[str, Any] = {
            "description": description,
            "done": 0,
            "total": total,
            "started_at": now,
            "at": now,
            "ended": False,
        }
        if scope.progress is None:
            scope.progress = []
        scope.progress.append(self._entry)
        self._show(0)

    def over(self, iterable: Iterable[T]) -> Iterator[T]:
        done = 0
        due = time.monotonic() + SHOWN_EVERY_S
        try:
            for item in iterable:
                yield item
                done += 1
                if time.monotonic() >= due:
                    self._show(done)
                    due = time.monotonic() + SHOWN_EVERY_S
        finally:
            self._show(done, ended=True)

    async def over_async(self, iterable: AsyncIterable[T]) -> AsyncIterator[T]:
        done = 0
        due = time.monotonic() + SHOWN_EVERY_S
        try:
            async for item in iterable:
                yield item
                done += 1
                if time.monotonic() >= due:
                    self._show(done)
                    due = time.monotonic() + SHOWN_EVERY_S
        finally:
            self._show(done, ended=True)

    def _show(self, done: int, *, ended: bool = False) -> None:
        self._entry |= {"done": done, "at": self._scope.now(), "ended": ended}
        state_of(self._scope).change("set", PROGRESS_KEY, self._scope.progress)
