"""One try of a run, from its dispatch under a fence to its end, through suspensions.

What names a fence is about the attempt that holds it; the run may have another by then.
"""

from __future__ import annotations

from kernelkit.models.error import Error
from kernelkit.models.event.event import Event
from kernelkit.models.task import RetryPolicy
from kernelkit.models.value import Value


class RunDispatched(Event, frozen=True):
    """An attempt is given to a worker, under a fence. What the run is locked to is frozen here the first time."""

    run_id: str
    fence: str
    worker_id: str
    attempt: int
    version: str
    bundle: str
    env_id: str
    max_attempts: int
    retry: RetryPolicy
    resumes: bool = False  # the attempt goes on from its checkpoints, under another fence


class DispatchUndone(Event, frozen=True):
    """The attempt never began (its worker could not be started): back to the queue, not counted.

    `blames_worker` is False when the dispatch got lost with a crashed engine rather than at a worker's start."""

    run_id: str
    fence: str
    blames_worker: bool = True


class AttemptStarted(Event, frozen=True):
    run_id: str
    fence: str
    started_at: int


class OpDone(Event, frozen=True):
    """A state-changing call of an attempt has been carried out; the same op key again changes nothing.

    `result` is what a resumed attempt is given for it: the ids that it made, separated by commas."""

    run_id: str
    op: str
    result: str = ""


class StepKept(Event, frozen=True):
    """A `kk.step` of the run has a result, which holds for all its attempts."""

    run_id: str
    op: str
    value: Value


class RunSuspended(Event, frozen=True):
    """All that the attempt's code does is wait durably: the run is WAITING and its slot is free.

    `compute` is how long the attempt's code has executed so far, in microseconds, and `calls` how many changes of
    metadata it has made: a replay leaves as many out. A process of its own is kept until `held_until`."""

    run_id: str
    fence: str
    compute: int = 0
    calls: int = 0
    held_until: int = 0


class RunResumed(Event, frozen=True):
    """A suspended attempt whose worker lives has a slot again; `AttemptStarted` follows when the worker knows.

    `ops` are the waits whose results it is given."""

    run_id: str
    fence: str
    ops: tuple[str, ...] = ()


class AttemptParked(Event, frozen=True):
    """The process of a suspended attempt is gone, or is let go: it will go on from its checkpoints elsewhere.

    `let_go` is the worker that still lives and is to be ended."""

    run_id: str
    fence: str
    let_go: str = ""


class AttemptFailed(Event, frozen=True):
    """The attempt failed and the run will try again at `retry_at`; under 5 s it keeps its slot."""

    run_id: str
    fence: str
    error: Error
    started_at: int
    retry_at: int
    keeps_slot: bool
    crashed: bool = False
    peak_memory: int | None = None
    compute: int = 0  # microseconds for which the attempt's code executed
    machine: str = ""  # the preset that the run has from now on, where that is another: it ran out of memory


class RetryDue(Event, frozen=True):
    """The moment for the next attempt has come: the run stands in its queue again. `asked` names the request that did
    not wait for it."""

    run_id: str
    asked: str = ""


class AttemptStopped(Event, frozen=True):
    """The code of a canceled or timed-out run has stopped; the run leaves the live set."""

    run_id: str
    fence: str
    started_at: int = 0
    compute: int = 0
