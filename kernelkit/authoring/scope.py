"""`Scope`: one attempt, as its own code and KernelKit's calls in it share it.

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
from typing import TYPE_CHECKING, Any

from kernelkit.authoring.cancelsignal import CancelSignal
from kernelkit.authoring.context import Context, context_of
from kernelkit.errors import KernelKitError, NotInTaskError

if TYPE_CHECKING:
    from kernelkit.authoring.durable import AroundWaits, Waits
    from kernelkit.authoring.inputs import Place
    from kernelkit.authoring.line import Line
    from kernelkit.authoring.metadata import MetadataState
    from kernelkit.authoring.outbox import Outbox
    from kernelkit.authoring.pending import Pending
    from kernelkit.authoring.until_done import Rest
    from kernelkit.models.sameness import Match
    from kernelkit.wire.messages import ReportBody, StartAttempt, WaitResult

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
