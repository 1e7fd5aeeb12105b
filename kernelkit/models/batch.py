"""A batch as it is kept: which runs its items became, in their order, and what was wrong with the others."""

from __future__ import annotations

import msgspec

from kernelkit.models.error import Error


class BatchError(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An item of a batch that could not be triggered.

    Mostly it became a run that has failed already, `run_id`; "" when no run was made of it.
    """

    index: int
    task_id: str
    error: Error
    run_id: str = ""

    def __str__(self) -> str:
        return f"item {self.index} ({self.task_id}): {self.error}"


class BatchRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the engine keeps of a batch; all else is read off its runs. Moments are UTC microseconds."""

    id: str
    created_at: int
    run_ids: tuple[str, ...]  # one for each item, "" where no run was made
    errors: tuple[BatchError, ...] = ()
