"""What a replay is triggered with. Pure: the run as it was, what is to be different, and the queues there are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec.structs import replace

from kernelkit.engine.queues import names
from kernelkit.engine.state import State
from kernelkit.models.run import Run
from kernelkit.models.value import Value
from kernelkit.wire.messages import TriggerItem


def replayed_item(source: Run, asked: TriggerItem, given: Collection[str], state: State) -> TriggerItem:
    """The trigger of a replay: `asked`, with all that was copied of `source` and is not `given` otherwise.

    `source` has its payload, whatever its size. The code is the task's latest; a queue that is no more is left to it.
    """
    copied: dict[str, Any] = {  # fields of a trigger, of any type
        "payload": Value(text=source.payload_json, size=source.payload_size),
        "tags": source.tags,
        "metadata": source.metadata_json if source.seed_json is None else source.seed_json,
        "concurrency_key": source.concurrency_key or "",
        "machine": source.machine or "",
        "is_test": source.is_test,
        "queue": source.queue if source.queue in names(state) else "",
    }
    kept = {name: value for name, value in copied.items() if name not in given}
    return replace(asked, task_id=source.task_id, bundle="", is_replay=True, **kept)
