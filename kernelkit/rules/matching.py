"""Whether a run is among those a `RunFilter` means; the store's SQL says the same of runs on disk.

The filter must be `frozen`: a period has no meaning without a clock.
"""

from __future__ import annotations

from typing import Protocol

from kernelkit.models.filter import RunFilter


class Filtered(Protocol):
    """What of a run is looked at; live runs and snapshots both have it."""

    @property
    def status(self) -> str: ...
    @property
    def task_id(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def queue(self) -> str: ...
    @property
    def batch_id(self) -> str | None: ...
    @property
    def schedule_id(self) -> str | None: ...
    @property
    def machine(self) -> str | None: ...
    @property
    def version(self) -> str | None: ...
    @property
    def parent_id(self) -> str | None: ...
    @property
    def id(self) -> str: ...
    @property
    def root_id(self) -> str | None: ...
    @property
    def is_test(self) -> bool: ...
    @property
    def searched(self) -> str: ...


def matches(run: Filtered, created_at: int, asked: RunFilter) -> bool:
    """Whether `run`, created at that moment, is meant.

    >>> from kernelkit.models.run import Run, RunStatus
    >>> from kernelkit.clock import to_datetime
    >>> run = Run(id="r", task_id="t", status=RunStatus.FAILED, created_at=to_datetime(5), queue="q", tags=("a", "b"))
    >>> [matches(run, 5, RunFilter(tag=tags)) for tags in (("b", "c"), ("c",))]
    [True, False]
    """
    return (
        (not asked.status or run.status in asked.status)
        and (not asked.task or run.task_id in asked.task)
        and (not asked.tag or any(tag in run.tags for tag in asked.tag))
        and all(tag in run.tags for tag in asked.all_tags)
        and (not asked.queue or run.queue in asked.queue)
        and (not asked.batch or run.batch_id in asked.batch)
        and (not asked.schedule or run.schedule_id in asked.schedule)
        and (not asked.machine or run.machine in asked.machine)
        and (not asked.version or run.version in asked.version)
        and (not asked.parent or run.parent_id in asked.parent)
        and (not asked.root or (run.root_id or run.id) in asked.root)
        and (asked.is_test is None or run.is_test == asked.is_test)
        and (not asked.created_from or created_at >= asked.created_from)
        and (not asked.created_to or created_at < asked.created_to)
        and (not asked.search or asked.search.lower() in run.searched.lower())
    )
