"""The part of `apply.py` that changes bulk actions; the runs they act on have events of their own."""

from __future__ import annotations

from msgspec.structs import replace

from kernelkit.engine.state import State
from kernelkit.models import event as ev


def began(state: State, event: ev.BulkBegan) -> None:
    state.bulks[event.bulk.id] = event.bulk


def advanced(state: State, event: ev.BulkAdvanced) -> None:
    bulk = state.bulks[event.bulk_id]
    success, failure = bulk.success + event.success, bulk.failure + event.failure
    state.bulks[bulk.id] = replace(bulk, cursor=event.cursor, success=success, failure=failure)


_KEPT_BULKS = 100


def ended(state: State, event: ev.BulkEnded) -> None:
    bulk = state.bulks[event.bulk_id]
    total = bulk.success + bulk.failure if event.status == "COMPLETED" else bulk.total
    state.bulks[bulk.id] = replace(bulk, status=event.status, completed=event.at, total=total)
    ended = [other.id for other in state.bulks.values() if other.is_completed]
    for bulk_id in ended[:-_KEPT_BULKS]:
        del state.bulks[bulk_id]
