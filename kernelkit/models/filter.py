"""Which runs are meant: what `runs.list`, bulk actions, exports and subscriptions all select by.

One struct, judged in two places that must agree: `rules/matching.py` for runs in memory, the SQL of `store/history.py`
for those on disk. Of several values of a field any matches; of several fields all must. What a newcomer would get
wrong: `period_s` counts back from the engine's clock, so `frozen` turns it into `created_from` once, before any page.
"""

from __future__ import annotations

import msgspec

MICROS = 1_000_000


class RunFilter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Filters of runs (decision 61); an empty one means all of them. Moments are UTC microseconds, 0 = not given.

    >>> RunFilter(status=("FAILED",), period_s=60.0).frozen(now=100_000_000).created_from
    40000000
    """

    status: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()  # any of them
    all_tags: tuple[str, ...] = ()  # every one of them
    queue: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    schedule: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    parent: tuple[str, ...] = ()
    root: tuple[str, ...] = ()  # the run of the tree that nobody below triggered, which counts as well
    is_test: bool | None = None
    created_from: int = 0  # this moment or later
    created_to: int = 0  # before this moment
    period_s: float = 0.0  # created in the last so many seconds
    search: str = ""  # occurs in id, task, tags, payload (up to 1 KiB) or error, in any case of letters

    def frozen(self, now: int) -> RunFilter:
        """The same with its period as a moment, so that later pages and chunks mean the same runs."""
        if not self.period_s:
            return self
        since = now - round(self.period_s * MICROS)
        return msgspec.structs.replace(self, created_from=max(self.created_from, since), period_s=0.0)

    @property
    def is_empty(self) -> bool:
        """Whether it means every run."""
        return all(getattr(self, name) == getattr(_ALL, name) for name in RunFilter.__struct_fields__)


_ALL = RunFilter()
