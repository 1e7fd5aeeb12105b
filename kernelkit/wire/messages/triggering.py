"""Messages that make runs: triggers, batches, replays, and what turns a trigger aside or puts it off.

Ids of runs and batches are made by whoever asks, so that what is sent twice acts once. What a run itself triggers is a
report of its attempt (`reports.py`), which carries the same items.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kernelkit.models.batch import BatchError, BatchRecord
from kernelkit.models.queue import RateLimit
from kernelkit.models.run import Run
from kernelkit.models.sameness import DebounceUse, KeyUse
from kernelkit.models.value import Value
from kernelkit.wire.messages.message import Message


class TriggerItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One run to make. The id is the caller's, so sending it twice makes one run."""

    run_id: str
    task_id: str
    payload: Value
    bundle: str = ""  # pinned code and globals; "" = the latest at the first start
    env_id: str = ""  # with `bundle`: the surroundings of whoever pinned it; "" = those it was last defined in
    tags: tuple[str, ...] = ()
    max_attempts: int | None = None
    metadata: str = "{}"
    queue: str = ""  # "" = the task's
    queue_limit: int | None = None  # with `queue`: create or update it with this limit
    queue_rate: RateLimit | None = None  # the same, with this rate
    concurrency_key: str = ""
    priority: float = 0.0
    delay_s: float = 0.0  # from when the engine takes it
    delay_until: int = 0  # or a moment
    ttl: float | None = None  # None = the task's, 0 = none
    max_duration: float | None = None  # None = the task's, 0 = any
    machine: str = ""  # preset; "" = the task's
    is_test: bool = False
    is_replay: bool = False
    allow_undefined: bool = False  # a task that nobody has defined is waited for instead of being an error
    problem: dict[str, Any] | None = None  # `errors.to_wire(…)` of what is wrong with it already: an item of a batch
    key: KeyUse | None = None
    debounce: DebounceUse | None = None


class Trigger(Message, frozen=True):
    """→ `Triggered`. With `batch_id` the items are one batch (≤ 1,000), and those that are refused do not hinder the
    others; if all are, so is the batch."""

    items: tuple[TriggerItem, ...]
    batch_id: str = ""


class BatchPart(Message, frozen=True):
    """Items of a batch too large for one message, kept aside until `BatchSeal`. Not answered."""

    batch_id: str
    offset: int
    items: tuple[TriggerItem, ...]


class BatchSeal(Message, frozen=True):
    """→ `Triggered`: all `count` items have been sent; make the runs."""

    batch_id: str
    count: int


class Triggered(Message, frozen=True):
    """`run_ids` has one for each item, "" where none was made, as `errors` tells.

    That of an item which an idempotency key or a debounce answered is an earlier run's.
    """

    run_ids: tuple[str, ...]
    errors: tuple[BatchError, ...] = ()
    cached: tuple[int, ...] = ()  # places of the items whose idempotency key was held
    batch_id: str = ""  # of a resumed attempt's trigger: that of the first time


class RetrieveBatch(Message, frozen=True):
    """→ `BatchReply`."""

    batch_id: str


class BatchReply(Message, frozen=True):
    """The batch, and those of its runs that are still kept, without large payloads and outputs."""

    batch: BatchRecord
    runs: tuple[Run, ...]


class Replay(Message, frozen=True):
    """→ `RunReply`: a new run as the run `run_id` was triggered, with what of `item` is named in `given` in its place.

    `item.task_id` is not looked at; `given` has names of fields of `item`, `payload` among them.
    """

    run_id: str
    item: TriggerItem
    given: tuple[str, ...] = ()


class Reschedule(Message, frozen=True):
    """→ `RunReply`. Only a run that is still delayed can be. `asked` names this call: sent again, it acts once."""

    run_id: str
    delay_s: float = 0.0
    delay_until: int = 0
    asked: str = ""


class RetryNow(Message, frozen=True):
    """→ `RunReply`. Only a run that waits for its next attempt has one. `asked` names this call: sent again, it acts
    once."""

    run_id: str
    asked: str = ""


class ResetKey(Message, frozen=True):
    """→ `Done`. Inside a run it is a report. `hash` is that of a `KeyUse`; `text` is the key in words.

    `asked` (inside a run: `op`) names this call: sent again, it acts once.
    """

    task_id: str
    hash: str
    text: str = ""
    asked: str = ""
    op: str = ""
