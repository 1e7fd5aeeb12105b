"""A bulk action: the same done to every run that a filter means, chunk by chunk."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from kernelkit.clock import to_datetime
from kernelkit.models.filter import RunFilter

BulkKind = Literal["CANCEL", "REPLAY"]
BulkStatus = Literal["PENDING", "COMPLETED", "ABORTED"]


class Bulk(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A bulk action as it is now: `success + failure` of `total` runs are done.

    A run that had ended already is a failure of a cancel; one whose task is no more is a failure of a replay.
    """

    id: str
    kind: BulkKind
    asked: RunFilter  # frozen: nothing that was triggered after it began is meant
    created: int  # UTC microseconds
    total: int = 0
    status: BulkStatus = "PENDING"
    success: int = 0
    failure: int = 0
    reason: str = ""  # of a cancel
    cursor: str = ""  # the last run that was dealt with; newer ones are done
    completed: int = 0

    @property
    def is_completed(self) -> bool:
        """True once nothing more will be done."""
        return self.status != "PENDING"

    @property
    def created_at(self) -> datetime:
        return to_datetime(self.created)

    @property
    def completed_at(self) -> datetime | None:
        return to_datetime(self.completed) if self.completed else None

    def __repr__(self) -> str:
        done = self.success + self.failure
        return (
            f"<Bulk {self.kind.lower()} {self.id}: {self.status}, {done:,} of {self.total:,} runs done, "
            f"{self.success:,} succeeded, {self.failure:,} failed>"
        )
