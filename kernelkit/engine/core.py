"""Takes commands one by one, and lets nothing out before it is on disk.

    take: decide → apply → the events go to the writer            (now, on the loop)
    commit → replies, dispatches, notices, in the order taken     (later, on the loop)

Everything that touches sockets, processes or clocks is a port handed in, so the daemon and the virtual-time test engine
share this file. Not thread-safe: all calls come on one loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from kernelkit.clock import Clock
from kernelkit.engine import commands as c
from kernelkit.engine.aftermath import follow
from kernelkit.engine.apply import apply
from kernelkit.engine.decide import Change, next_due, step
from kernelkit.engine.ledger import Ledger, history_row, stopped_error
from kernelkit.engine.liverun import share
from kernelkit.engine.ports import NoticesPort, ReadPort, T, Then, WorkersPort, WriterPort
from kernelkit.engine.pulse import Pulse
from kernelkit.engine.state import State
from kernelkit.engine.streams import part_row
from kernelkit.engine.values import RecentValues, values_of
from kernelkit.engine.views import run_view
from kernelkit.errors import StoreError, StoreFullError, UnknownRunError
from kernelkit.models import event as ev
from kernelkit.models.run import Run
from kernelkit.models.value import Value
from kernelkit.store.rows import Batch, LineRow, LogRow
from kernelkit.store.store import Store

_HISTORY_ROWS = 1_000  # that many finished runs are appended at once, or whatever there is when it has been quiet


class Core:
    """The engine without its loops."""

    def __init__(
        self,
        store: Store,
        writer: WriterPort,
        clock: Clock,
        capacity: c.Capacity,
        roll: c.Roll,
        *,
        soon: Callable[[Then], object],
        min_free_bytes: int = 0,
    ) -> None:
        self.store = store
        self.writer = writer
        self.clock = clock
        self.capacity = capacity
        self.roll = roll
        self.ledger = Ledger()
        self.pulse = Pulse()
        self.state = State()
        self.workers: WorkersPort
        self.notices: NoticesPort
        self.environment = "dev"
        self.project = ""
        self.suspend_after = 5.0  # seconds; see `EngineSettings`
        self.hold_for = 60.0
        self.worker_notices: dict[str, str] = {}  # by worker id: shown on its runs, never stored
        self.read: ReadPort = _read_here
        self.query: ReadPort = _read_here  # the same for people's queries, which may take long
        self.on_timer: Callable[[int | None], None] = lambda at: None
        self.on_stream: Callable[[str, str], None] = _unheard  # run and key of a stream that has grown
        self.on_token: Callable[[str], None] = lambda token_id: None  # one has ended, or others wait for it
        self.listened: set[str] = set()  # runs of whose streams somebody waits for more
        self.on_left: Callable[[str], None] = lambda run_id: None  # one of these has ended
        self.soon = soon
        self._min_free = min_free_bytes
        self._free_checked = 0
        self._free = True
        self._values = RecentValues()
        self.unwanted: list[str] = []  # refs of payloads that others took the place of, until they are removed
        self.batch = Batch()
        self.outgoing: list[Then] = []
        self._flush_due = False
        self._closed = False
        self.unsent: set[str] = set()  # fences of attempts that no worker was given yet
        self.turn = 0  # counts flushes: what is taken in one turn is committed together
        self._uncommitted = 0  # batches handed to the writer that it has not committed
        self._snapshot_seq = 0
        self._recover()

    # ---- taking commands ---------------------------------------------------------------------------------------

    def take(self, command: c.Command, then: Then | None = None) -> list[Change]:
        """Carry out `command`; `then` is called once its events are on disk. A refusal raises and changes nothing."""
        command, values = self._values.set_aside(command)
        now = self.clock.now()
        changes = step(self.state, command, self.capacity, now, self.roll)
        if values:  # of what was sent again, or merged into an earlier run, they are there or not wanted
            wanted = values_of(changes)
            self.batch.values.extend(row for row in values if row.ref in wanted)
        for change in changes:
            self.batch.events.append(_log_row(change))
            if isinstance(change.event, ev.StreamAppended):
                self.batch.parts.append(part_row(command, change.event))
            follow(self, change)
        if then is not None:
            self.outgoing.append(then)
        self._schedule_flush()
        if changes or isinstance(command, c.Tick):
            self.on_timer(next_due(self.state))
        return changes

    def refuse_if_full(self) -> None:
        """Raise `StoreFullError` while the store cannot take more."""
        problem = self.writer.problem or ("" if self._has_space() else self._no_space())
        if problem:
            raise StoreFullError(
                f"KernelKit cannot store anything now: {problem}. Nothing of this call was stored. Free some space and "
                "call again; runs that are executing go on, and the engine resumes by itself."
            )

    def after_commit(self, then: Then) -> None:
        """Call `then` once everything taken so far is on disk."""
        self.outgoing.append(then)
        self._schedule_flush()

    def add_lines(self, lines: Iterable[LineRow]) -> None:
        """Captured log lines: they ride in the next commit, best effort; while nothing commits they are dropped."""
        if self.writer.problem:
            return
        self.batch.lines.extend(lines)
        self._schedule_flush()

    # ---- reading -----------------------------------------------------------------------------------------------

    def view(self, run_id: str, *, count_ahead: bool = True) -> Run | None:
        """The run as it is now if it is live or has just ended; large values are left out. None: ask history."""
        run = self.state.runs.get(run_id)
        if run is not None:
            return run_view(
                run,
                self.state,
                self.capacity,
                error=stopped_error(run),
                notice=self.worker_notices.get(run.worker_id),
                count_ahead=count_ahead,
            )
        row = self.ledger.get(run_id)
        return row.run if row else None

    def at_hand(self, run_id: str) -> Run | None:
        """The run with all its values if none of them has to be read from the store."""
        view = self.view(run_id)
        if view is None or view.payload_json is None or (view.output_size and view.output_json is None):
            return None
        return view

    def read_run(self, run_id: str) -> Callable[[], Run]:
        """A function that gives the run with all its values, wherever it is now; it reads the store, on any thread.

        It raises `UnknownRunError` for a run that is not kept.
        """
        view = self.view(run_id)
        if view is None:
            return lambda: _kept(self.store.run(run_id), run_id)
        run, row = self.state.runs.get(run_id), self.ledger.get(run_id)
        payload_ref = run.payload.ref if run else row.payload_ref if row else None
        output_ref = None if run or row is None else row.output_ref
        found = {ref: text for ref in (payload_ref, output_ref) if ref and (text := self._values.get(ref)) is not None}

        def fill() -> Run:
            missing = [ref for ref in (payload_ref, output_ref) if ref and ref not in found]
            texts = found | (self.store.values(missing) if missing else {})
            return replace(
                view,
                payload_json=texts[payload_ref] if payload_ref else view.payload_json,
                output_json=texts[output_ref] if output_ref else view.output_json,
            )

        return fill

    def text_of(self, value: Value, then: Callable[[str], None]) -> None:
        """Call `then` with the text of `value`, at once where it is at hand."""
        ref = value.ref
        text = value.text if ref is None else self._values.get(ref)
        if text is not None:
            then(text)
            return
        assert ref is not None, "a value has a text or a reference"
        self.read(lambda: self.store.values([ref])[ref], then)

    def output_ref(self, run_id: str) -> str | None:
        """Where the large output of a run that has just ended lies."""
        row = self.ledger.get(run_id)
        return None if row is None else row.output_ref

    def texts_at_hand(self, refs: Iterable[str]) -> tuple[dict[str, str], list[str]]:
        """Of these values those that are in memory, and the references of the others."""
        found = {ref: text for ref in refs if (text := self._values.get(ref)) is not None}
        return found, [ref for ref in refs if ref not in found]

    # ---- history and snapshots ---------------------------------------------------------------------------------

    def flush_history(self, then: Then | None = None) -> None:
        """Append every finished run to history; `then` once that is on disk."""
        rows = self.ledger.take()
        self.batch.history.extend(rows)
        self.batch.unwanted.extend(self.unwanted)
        self.unwanted.clear()

        def written() -> None:
            self.ledger.written(rows)
            if then is not None:
                then()

        self.after_commit(written)

    def snapshot_due(self, every: int) -> bool:
        return self.state.seq - self._snapshot_seq >= every

    def snapshot(self) -> None:
        """Write the state down as it is now, so that recovery starts from here."""
        seq, body = self.state.seq, self.state.dump()
        self._snapshot_seq = seq
        # Finished runs before `seq` must be in history first: recovery looks for them only behind the snapshot.
        self.flush_history(lambda: self.read(lambda: self.store.write_snapshot(seq, body), lambda _: None))

    # ---- inside ------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        recovered = self.store.recover()
        if recovered.snapshot is not None:
            try:
                self.state = State.load(recovered.snapshot)
            except msgspec.ValidationError as cause:
                raise StoreError(
                    f"The engine's snapshot was written by another version of KernelKit ({cause}). Install the version "
                    "that was used last, let its runs end, and stop it with `kernelkit down` before changing versions."
                ) from cause
        self._snapshot_seq = self.state.seq
        for row in recovered.events:
            event = ev.from_json(row.body)
            change = Change(row.seq, event, apply(self.state, event))
            assert self.state.seq == row.seq, f"event {row.seq} follows {self.state.seq - 1}: the log has a gap"
            ended = history_row(change, self.state, self.capacity) if row.seq > recovered.history_seq else None
            if ended is not None:
                self.ledger.add(ended)
            if isinstance(event, ev.RunDebounced) and event.replaced_ref:
                self.unwanted.append(event.replaced_ref)
        share(self.state.runs.values())

    def _schedule_flush(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self.soon(self.flush)

    def close(self) -> None:
        """Let nothing out any more that is not with the writer yet: the next engine is asked for it again."""
        self._closed = True

    def flush(self) -> None:
        """Hand what has gathered to the writer; called once a loop tick."""
        self._flush_due = False
        if self._closed:
            return
        self.turn += 1
        batch, after = self.batch, self.outgoing
        self.batch, self.outgoing = Batch(), []
        if batch.is_empty and not self._uncommitted:
            _run(after)
            return
        self._uncommitted += 1

        def committed() -> None:
            self._uncommitted -= 1
            _run(after)
            if self.ledger.waiting >= _HISTORY_ROWS:
                self.flush_history()

        self.writer.put(batch, committed)

    def _has_space(self) -> bool:
        """Whether the disk has room, looked up every 20 ms at most: what is taken meanwhile waits for space."""
        now = self.clock.now()
        if self._min_free and now - self._free_checked > 20_000:
            self._free_checked = now
            free = self.store.free_bytes()
            self._free = free is None or free >= self._min_free
        return self._free

    def _no_space(self) -> str:
        return f"the disk of the home has less than {self._min_free // 2**20} MiB free"


def _unheard(run_id: str, stream: str) -> None:
    """Nobody listens to streams."""


def _read_here(fn: Callable[[], T], then: Callable[[T], None]) -> None:
    then(fn())


def _kept(run: Run | None, run_id: str) -> Run:
    if run is None:
        raise UnknownRunError(
            f"No run {run_id!r} is kept in this home. kk.runs.list() shows the latest ones; "
            "finished runs are removed after the retention time.",
            run_id=run_id,
        )
    return run


def _run(calls: list[Then]) -> None:
    for call in calls:
        call()


def _log_row(change: Change) -> LogRow:
    event = change.event
    about = event.batch.id if isinstance(event, ev.BatchMade) else getattr(event, "run_id", "")
    return LogRow(change.seq, event.at, type(event).__name__, about, ev.to_json(event))
