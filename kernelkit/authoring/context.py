"""What a task's code can know about its own run: `ctx`, `signal`, and the scope that ties them to one attempt.

Everything of one attempt hangs on its `Scope`, found through a context variable; so it follows `await`, tasks and
`asyncio.to_thread`, and two attempts in one process never see each other's. What a newcomer would get wrong: nothing
here blocks or talks. A scope hands reports to whoever made it (`report`) and learns later, through `settle` and
`refuse`, what became of them; hence a refused call surfaces at the attempt's next call of ours, or at its end.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from kernelkit.clock import to_datetime
from kernelkit.errors import KernelKitError, NotInTaskError
from kernelkit.models.machine import GIB

if TYPE_CHECKING:
    from kernelkit.authoring.durable import AroundWaits, Waits
    from kernelkit.authoring.inputs import Place
    from kernelkit.authoring.line import Line
    from kernelkit.authoring.metadata import MetadataState
    from kernelkit.authoring.outbox import Outbox
    from kernelkit.authoring.pending import Pending
    from kernelkit.authoring.until_done import Rest
    from kernelkit.models.sameness import KeyScope, Match
    from kernelkit.wire.messages import ReportBody, StartAttempt, WaitResult


@dataclass(frozen=True, slots=True)
class TaskContext:
    id: str
    file_path: str  # the notebook or module that defines it; "" for one typed into a console


@dataclass(frozen=True, slots=True)
class AttemptContext:
    number: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class QueueContext:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class BatchContext:
    id: str


@dataclass(frozen=True, slots=True)
class MachineContext:
    """The preset of the run, with what of it this host can give: `cpu` in vCPUs, `memory` in GiB."""

    name: str
    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class EnvironmentContext:
    id: str
    slug: str
    type: str


@dataclass(frozen=True, slots=True)
class ProjectContext:
    """The project is the folder beside whose `.kernelkit` the task was defined."""

    id: str
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class RunContext:
    """The run as it was when this attempt began; it does not change during the attempt."""

    id: str
    tags: tuple[str, ...]
    is_test: bool
    is_replay: bool
    created_at: datetime
    started_at: datetime
    max_attempts: int
    max_duration: float | None  # seconds
    priority: float  # seconds
    version: str
    parent_id: str | None
    root_id: str
    depth: int
    idempotency_key: str | None  # as its author wrote it
    idempotency_key_scope: KeyScope | None
    attempt: AttemptContext


@dataclass(frozen=True, slots=True)
class Context:
    """The run context: `ctx.run`, `.task`, `.attempt`, `.queue`, `.environment`, `.project`; `.batch` and `.machine` or
    None.

    `ctx.run.attempt` is `ctx.attempt`. A body gets it as its parameter `ctx`; anywhere below, it is `kk.ctx`.
    """

    task: TaskContext
    attempt: AttemptContext
    run: RunContext
    queue: QueueContext
    batch: BatchContext | None
    machine: MachineContext | None
    environment: EnvironmentContext
    project: ProjectContext


def context_of(start: StartAttempt, started_at: int) -> Context:
    """The context of the attempt that `start` asks for."""
    attempt = AttemptContext(number=start.attempt, started_at=to_datetime(started_at))
    machine, project = start.machine, start.project
    return Context(
        task=TaskContext(id=start.task_id, file_path=start.file_path),
        attempt=attempt,
        run=RunContext(
            id=start.run_id,
            tags=start.tags,
            is_test=start.is_test,
            is_replay=start.is_replay,
            created_at=to_datetime(start.created_at),
            started_at=to_datetime(start.run_started_at) if start.run_started_at else attempt.started_at,
            max_attempts=start.max_attempts,
            max_duration=start.max_duration,
            priority=start.priority,
            version=start.version,
            parent_id=start.parent_id,
            root_id=start.root_id or start.run_id,
            depth=start.depth,
            idempotency_key=None if start.key is None else start.key.text,
            idempotency_key_scope=None if start.key is None else start.key.scope,
            attempt=attempt,
        ),
        queue=QueueContext(id=start.queue, name=start.queue),
        batch=BatchContext(id=start.batch_id) if start.batch_id else None,
        machine=None
        if machine is None
        else MachineContext(name=machine.name, cpu=machine.cpu, memory=machine.memory / GIB),
        environment=EnvironmentContext(
            id=start.environment, slug=start.environment, type=_ENVIRONMENTS.get(start.environment, "DEVELOPMENT")
        ),
        project=ProjectContext(id=project, slug=project, name=project),
    )


_ENVIRONMENTS = {"prod": "PRODUCTION", "production": "PRODUCTION", "staging": "STAGING", "preview": "PREVIEW"}


class CancelSignal:
    """Tells a body that it should stop: `await signal.wait()`, `signal.is_set()`, `signal.reason`.

    Take a parameter named `signal` and the body is given time to end by itself before it is cancelled. It may be set
    and waited for from any thread; `wait_sync` is for plain functions.

    >>> signal = CancelSignal()
    >>> signal.is_set(), signal.wait_sync(timeout=0)
    (False, False)
    >>> signal.set("Canceled by user")
    >>> signal.wait_sync(), signal.reason
    (True, 'Canceled by user')
    """

    __slots__ = ("_event", "_lock", "_waiters", "reason")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self.reason: str | None = None

    def set(self, reason: str) -> None:
        """Ask the body to stop; the first reason stays."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            waiters, self._waiters = self._waiters, []
        for loop, waiter in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_wake, waiter)

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        """Return once the signal is set; at once if it is."""
        with self._lock:
            if self._event.is_set():
                return
            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.append((loop, waiter))
        await waiter

    def wait_sync(self, timeout: float | None = None) -> bool:
        """Block until the signal is set, at most `timeout` seconds; says whether it is set."""
        return self._event.wait(timeout)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


Site = tuple[str, int]  # file and line of a person's call
Told = Callable[[KernelKitError | None], None]  # given what became of a report: None, or its refusal


class Scope:
    """One attempt, as its own code and KernelKit's calls in it share it. Made anew for each attempt; cheap on purpose:
    ten thousand of them may be suspended in one worker."""

    __slots__ = (
        "_context",
        "_counts",
        "_early",
        "_make_waits",
        "_open",
        "_settled",
        "_signal",
        "_waits",
        "around_waits",
        "calls",
        "canceled",
        "carried",
        "idle",
        "in_body",
        "interrupted",
        "line",
        "locals",
        "matches",
        "metadata_state",
        "outbox",
        "peak_memory",
        "places",
        "progress",
        "raised",
        "refusal",
        "rest",
        "start",
        "started_at",
        "stop_reason",
        "tags",
        "takes_signal",
        "task",
        "tasks",
        "thread",
        "unawaited",
    )

    def __init__(self, start: StartAttempt, line: Line) -> None:
        self.start = start
        self.line = line
        self.started_at = line.now()
        self.in_body = False
        self.interrupted = False  # a plain body is to be interrupted
        self.takes_signal = False
        self.stop_reason: str | None = None  # set once the attempt was asked to stop
        self.canceled = False  # and that because its run was canceled
        self.raised: BaseException | None = None  # what the attempt failed with
        self.locals: dict[str, Any] | None = None  # see authoring/locals.py
        self.refusal: tuple[KernelKitError, Site | None] | None = None
        self.metadata_state: MetadataState | None = None
        self.progress: list[dict[str, Any]] | None = None  # see authoring/track.py
        self.tags: list[str] | None = None  # see authoring/tags.py
        self.outbox: Outbox | None = None  # see authoring/outbox.py
        self.places: dict[str, Place] | None = None  # in input streams, see authoring/inputs.py
        self.rest: Rest | None = None  # see authoring/until_done.py
        self.peak_memory: Callable[[], int] | None = None  # where the process is the attempt's own
        self.idle = 0  # microseconds since `started_at` for which its code did not execute
        self.calls = 0  # changes of metadata so far
        self.task: asyncio.Task[Any] | None = None  # of an attempt on a loop
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] | None = None  # others that its code has started there
        self.unawaited: dict[Pending[Any], None] | None = None  # see authoring/pending.py
        self.around_waits: AroundWaits | None = None  # calls the hooks on_wait and on_resume
        self.thread = 0  # that its code began on
        self._make_waits: Callable[[Scope], Waits] | None = None
        self._waits: Waits | None = None
        self._early: tuple[WaitResult, ...] = ()  # that came before the attempt began here
        self._context: Context | None = None
        self._signal: CancelSignal | None = None
        self._counts: dict[str, int] | None = None  # of each call, by the op key it had first
        self._open: dict[int, Site | Told | None] | None = None  # whence each open report came, or who is told of it
        self.matches: dict[str, Match] | None = None  # triggers that earlier runs answered, by their names
        self.carried: dict[str, int | None] | None = None  # triggers that may be so, and the report that carries each
        self._settled: list[tuple[int | None, CancelSignal]] | None = None

    @property
    def context(self) -> Context:
        if self._context is None:
            self._context = context_of(self.start, self.started_at)
        return self._context

    @property
    def signal(self) -> CancelSignal:
        if self._signal is None:
            with self.line.lock:
                self._signal = self._signal or CancelSignal()
        return self._signal

    @property
    def stopping(self) -> bool:
        return self.stop_reason is not None

    def op(self, kind: str, name: str, args_text: str) -> str:
        """The key of a state-changing call: kind, name, hash of arguments, and how often just that was called before.

        The engine answers a key it knows with its first result, so a call sent twice acts once.
        """
        digest = hashlib.blake2b(args_text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        if inside := unrepeated.get():  # counted by itself: the body's own calls are, when it is called again
            name = f"{name}@{inside}"
        first = f"{kind}:{name}:{digest}:1"
        with self.line.lock:
            if self._counts is None:
                self._counts = {}
            count = self._counts[first] = self._counts.get(first, 0) + 1
        return first if count == 1 else f"{first[:-1]}{count}"

    def now(self) -> int:
        """UTC microseconds."""
        return self.line.now()

    def report(self, body: ReportBody) -> int | None:
        """Report something that nobody waits for."""
        return self.line.report(self, body)

    def emit(self, level: str, text: str) -> None:
        """Add to the run's log."""
        self.line.emit(self, level, text)

    def send(self, body: ReportBody) -> int | None:
        """Report a change made by the attempt's code; raises an earlier call's refusal first.

        Returns the report's number, None where the engine has taken it at once.
        """
        self.check()
        return self.post(body, call_site())

    def post(self, body: ReportBody, site: Site | None = None, told: Told | None = None) -> int | None:
        """Report without raising what was refused before: for changes that were gathered and leave by themselves.

        Where the answer comes later, `told` is called with it, on any thread; a refusal is then raised by nobody else.
        Otherwise it is noted as that of the call at `site`.
        """
        with self.line.lock:  # held over the report, so that `settle` cannot overtake the entry below
            number = self.line.report(self, body)
            if number is not None:
                if self._open is None:
                    self._open = {}
                self._open[number] = told or site
            return number

    def check(self) -> None:
        """Raise the refusal of an earlier call, once."""
        if self.refusal is not None:
            error, site = self.refusal
            self.refusal = None
            if site is not None:
                error.add_note(f"It was refused for the call in {site[0]}, line {site[1]}.")
            raise error

    def settle(self, number: int) -> None:
        """The report `number`, and all before it, are on disk."""
        with self.line.lock:  # also to see that nothing is open: `post` may be about to enter this very number
            if self._open is None:
                return
            settled = [self._open.pop(each) for each in list(self._open) if each <= number]
            self._open = self._open or None
        _tell_all(settled)
        self._tell_if_settled()

    def refuse(self, number: int, error: KernelKitError) -> None:
        """The report `number` was refused; the first refusal is kept for the attempt's next call."""
        with self.line.lock:
            whence = None if self._open is None else self._open.pop(number, None)
            self._open = self._open or None
            if self.refusal is None and not callable(whence):
                self.refusal = (error, whence)
        if callable(whence):
            whence(error)
        self._tell_if_settled()

    def abandon(self) -> None:
        """Nobody will settle what is open: the engine has not been seen for long."""
        with self.line.lock:
            given_up, self._open = self._open or {}, None
        _tell_all(given_up.values())
        self._tell_if_settled()

    # ---- durable waits ---------------------------------------------------------------------------------------------

    @property
    def waits(self) -> Waits:
        """The durable waits of the attempt, made at their first use; raises `NotInTaskError` where there are none."""
        waits = self._waits
        if waits is None:
            if self._make_waits is None:
                raise NotInTaskError("Nothing can be waited for durably here: no engine runs this task.")
            with self.line.lock:
                waits = self._waits = self._waits or self._make_waits(self)
                early, self._early = self._early, ()
            if early:
                waits.results(early)
        return waits

    @property
    def has_waited(self) -> bool:
        """Whether the attempt has come to a durable call, or is to go on behind one."""
        return self._waits is not None

    def tell(self, results: tuple[WaitResult, ...]) -> None:
        """The engine has spoken of open waits; on any thread."""
        with self.line.lock:
            if self._waits is None:
                self._early += results
                return
        self._waits.results(results)

    def stop_waiting(self) -> bool:
        """The attempt is being stopped: whether its thread stood still in a wait, which is ended."""
        return self._waits is not None and self._waits.stop()

    def begin(self, waits: Callable[[Scope], Waits]) -> None:
        """The attempt begins, on this thread, or goes on where its checkpoints say."""
        self.thread = threading.get_ident()
        self._make_waits = waits
        replay = self.start.replay
        if replay is not None:
            _ = self.waits
            self.idle = self.now() - replay.started_at - replay.compute
            self.started_at = replay.started_at

    def compute(self, until: int) -> int:
        """Microseconds for which the attempt's code has executed."""
        return max(0, until - self.started_at - self.idle)

    def is_repeated(self) -> bool:
        """Whether a change of metadata, which is about to be made, was made before the attempt was resumed."""
        if unrepeated.get():
            return False
        self.calls += 1
        replay = self.start.replay
        return replay is not None and self.calls <= replay.calls

    def follow(self, task: asyncio.Task[Any]) -> None:
        """The attempt's code has started another task."""
        if self.tasks is None:
            self.tasks = weakref.WeakSet()
        self.tasks.add(task)

    def expect(self, pending: Pending[Any]) -> None:
        if self.unawaited is None:
            self.unawaited = {}
        self.unawaited[pending] = None

    def expected(self, pending: Pending[Any]) -> None:
        if self.unawaited is not None:
            self.unawaited.pop(pending, None)
            self.unawaited = self.unawaited or None

    def match(self, found: dict[str, Match]) -> None:
        """Earlier runs answered triggers of the attempt."""
        if self.matches is None:
            self.matches = {}
        self.matches.update(found)

    @property
    def has_open_reports(self) -> bool:
        return self._open is not None

    def is_open(self, number: int) -> bool:
        """Whether the report has neither been settled nor refused."""
        return number in (self._open or ())

    def settled(self, number: int | None = None) -> CancelSignal:
        """A signal that is set once no report is open, or only later ones than `number`."""
        waiting = CancelSignal()
        with self.line.lock:
            self._settled = [*(self._settled or ()), (number, waiting)]
        self._tell_if_settled()
        return waiting

    def _tell_if_settled(self) -> None:
        if not self._settled:
            return
        with self.line.lock:
            waited_for = self._settled or ()
            first = min(self._open or (), default=None)
            over = [one for one in waited_for if first is None or (one[0] is not None and one[0] < first)]
            self._settled = [one for one in waited_for if one not in over] or None
        for _, waiting in over:
            waiting.set("settled")


def _tell_all(settled: Iterable[Site | Told | None]) -> None:
    for whence in settled:
        if callable(whence):
            whence(None)


def call_site() -> Site | None:
    """Where a person's code called into KernelKit: the nearest frame outside the package."""
    frame = sys._getframe(1)
    while frame is not None:
        if not str(frame.f_globals.get("__name__", "")).startswith("kernelkit."):
            return (frame.f_code.co_filename, frame.f_lineno)
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None


no_waits: ContextVar[str] = ContextVar("kernelkit_no_waits", default="")
"""Where this code is, if it may not wait durably there: "in a hook", for instance."""

unrepeated: ContextVar[str] = ContextVar("kernelkit_unrepeated", default="")
"""What this code belongs to, if it is not called again when the attempt is resumed: a step, say, or a hook."""

scope: ContextVar[Scope | None] = ContextVar("kernelkit_scope", default=None)


@contextmanager
def marked(mark: ContextVar[str], value: str) -> Iterator[None]:
    """Sets `no_waits` or `unrepeated` for this block."""
    token = mark.set(value)
    try:
        yield
    finally:
        # The collector closes a body that never goes on, in the context of whatever runs then: nothing to put back.
        with suppress(ValueError):
            mark.reset(token)


def current_scope(what: str = "This call") -> Scope:
    """The scope of the attempt around this code; raises `NotInTaskError` outside of one."""
    found = scope.get()
    if found is None:
        raise NotInTaskError(
            f"{what} works only while a task is running, in the task's body or below it. "
            "If it is in a thread that the task started, start the thread with "
            "asyncio.to_thread(…) or contextvars.copy_context().run(…)."
        )
    return found


class _CurrentContext:
    """`kk.ctx`: the run context of whatever run this code is in."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:  # whatever Context has
        if name.startswith("__"):  # inspection by IPython, copy or pickle is no question about a run
            raise AttributeError(name)
        return getattr(current_scope(f"kk.ctx.{name}").context, name)

    def __repr__(self) -> str:
        found = scope.get()
        return "<kk.ctx outside a run>" if found is None else repr(found.context)


ctx: Context = cast(Context, _CurrentContext())
