"""What the engine tells a worker: start an attempt, go on with it, stop it; and whether the worker is there.

An attempt is known by its fence, not by its run: what is said to an earlier attempt must not reach a later one.
"""

from __future__ import annotations

import msgspec

from kernelkit.models.machine import Machine
from kernelkit.models.run import Run
from kernelkit.models.sameness import KeyUse, Match
from kernelkit.models.task import LogLevel, RetryPolicy
from kernelkit.models.value import Value
from kernelkit.models.wait import WaitType
from kernelkit.wire.messages.message import Message


class StartAttempt(Message, frozen=True):
    """Engine → worker: run this. Sent only after the dispatch is on disk."""

    run_id: str
    task_id: str
    fence: str
    attempt: int
    max_attempts: int
    bundle: str
    payload: Value  # always as text here
    version: str
    queue: str
    created_at: int
    tags: tuple[str, ...] = ()
    metadata: str = "{}"
    parent_id: str | None = None
    root_id: str | None = None
    depth: int = 0
    batch_id: str | None = None
    max_duration: float | None = None
    priority: float = 0.0
    is_test: bool = False
    is_replay: bool = False
    retry: RetryPolicy | None = None  # None: the default one
    compute_before: int = 0  # microseconds for which earlier attempts executed
    machine: Machine | None = None  # as clamped to the host
    log_level: LogLevel = "info"
    run_started_at: int = 0  # of the first attempt
    file_path: str = ""  # notebook or module that defines the task
    environment: str = "dev"
    project: str = ""  # the name of its folder
    key: KeyUse | None = None
    steps: dict[str, str] = msgspec.field(default_factory=dict)  # results of the run's `kk.step`s, JSON text by op key
    replay: Resumption | None = None  # the attempt was suspended elsewhere and goes on here
    suspend_after: float = 5.0  # seconds; a shorter wait for time is slept through
    hold_for: float = 60.0  # seconds for which a suspended process of its own is kept


class WaitResult(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What came of the wait under `op`. `value` is a token's, as text; `runs` are those waited for, in order."""

    op: str
    type: WaitType
    value: Value | None = None
    timed_out: bool = False
    token: str = ""
    runs: tuple[Run, ...] = ()
    missing: tuple[str, ...] = ()  # runs waited for that are not kept


class Resumption(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The checkpoints of a suspended attempt: its body is called again, and given these instead of doing it again."""

    results: tuple[WaitResult, ...] = ()  # in the order in which they were over
    open: tuple[str, ...] = ()  # op keys of waits that are not over
    ops: dict[str, str] = {}  # calls that have been made, and what came of them
    sent: dict[str, int] = {}  # values that it had appended to streams, by op
    started_at: int = 0
    compute: int = 0  # microseconds for which the attempt had executed
    calls: int = 0  # changes of metadata that it had made …
    metadata: str = "{}"  # … to this


class WaitsOver(Message, frozen=True):
    """Engine → worker: results of waits; a suspended attempt has its slot again with it. Known ones are left alone."""

    run_id: str
    fence: str
    results: tuple[WaitResult, ...]


class StopAttempt(Message, frozen=True):
    """Engine → worker: stop this attempt. Async: signal, then cancellation; sync: signal, then an interrupt.

    `signal_s` is how long a body that takes `signal` may go on by itself; the engine counts the grace after that and
    has the keeper kill the process.
    """

    run_id: str
    fence: str
    reason: str
    signal_s: float = 30.0
    canceled: bool = False  # the run was canceled: its on_cancel hooks run


class Retire(Message, frozen=True):
    """Engine → worker: take no more, finish what you have, exit."""


class Ping(Message, frozen=True):
    """Engine → worker, answered by `Pong`: a shared loop that does not answer is blocked by a body."""


class Pong(Message, frozen=True):
    pass


class Ack(Message, frozen=True):
    """Engine → worker: every report up to `seq` is on disk, or was refused.

    `matches` are the triggers among them that were answered with earlier runs.
    """

    seq: int
    matches: tuple[Match, ...] = ()
