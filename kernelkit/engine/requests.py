"""What clients ask, and the answers: each leaves after the commit of what it says."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterable
from typing import TypeVar, assert_never

from msgspec.structs import replace

from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.batches import OpenBatches
from kernelkit.engine.bulkwork import BulkWork
from kernelkit.engine.core import Core
from kernelkit.engine.decide import Change
from kernelkit.engine.listing import list_runs, summarize_runs
from kernelkit.engine.notices import Notices, Peer
from kernelkit.engine.ports import ReadPort
from kernelkit.engine.queues import queue_info, queue_infos
from kernelkit.engine.relations import with_relations
from kernelkit.engine.replaying import replayed_item
from kernelkit.engine.sameness import triggered
from kernelkit.engine.scheduledesk import ScheduleDesk
from kernelkit.engine.spans import read_spans
from kernelkit.engine.sql import answer_sql, export
from kernelkit.engine.status import engine_status
from kernelkit.engine.streamdesk import StreamDesk
from kernelkit.engine.tokens import Tokens
from kernelkit.errors import KernelKitError, TaskDefinitionError, UnknownRunError, to_wire
from kernelkit.models import event as ev
from kernelkit.models.batch import BatchRecord
from kernelkit.models.run import Run
from kernelkit.wire import messages as m

logger = logging.getLogger(__name__)

T = TypeVar("T")

_NEEDS_THE_STORE = (
    m.DefineTask
    | m.RetrieveBatch
    | m.Cancel
    | m.Replay
    | m.StartBulk
    | m.AbortBulk
    | m.Reschedule
    | m.ResetKey
    | m.Retrieve
    | m.ListRuns
    | m.SummarizeRuns
    | m.GetLogs
    | m.GetSpans
    | m.ListTasks
    | m.ListQueues
    | m.RetrieveQueue
    | m.PauseQueue
    | m.OverrideQueue
    | m.Watch
    | m.AppendStream
    | m.ListStreams
)

Answer = Callable[[m.ReplyBody], None]
Refuse = Callable[[Exception], None]


class Requests:
    """Answers clients, whoever they are and however they are connected."""

    def __init__(
        self,
        core: Core,
        notices: Notices,
        home: Home,
        *,
        pid: int,
        started_at: int,
        monotonic: Callable[[], float],
        silent_for: Callable[[str], float],
        stop: Callable[[m.StopEngine], None],
    ) -> None:
        self._core = core
        self._notices = notices
        self._home = home
        self._pid = pid
        self._started_at = started_at
        self._time = monotonic
        self._silent_for = silent_for
        self._stop = stop
        self._batches = OpenBatches()
        self._bulks = BulkWork(core, monotonic)
        self._schedules = ScheduleDesk(core)
        self._tokens = Tokens(core, monotonic)
        self._streams = StreamDesk(core, self._read_now, monotonic, notices.stream_grew)
        # What each connected client defines tasks as, by `str(Owner)`: a notebook is one owner, its modules are others.
        self._owners: dict[Peer, set[str]] = {}
        self._parents: dict[Peer, m.LiveAttempt] = {}  # attempts that started a client's process

    def greet(self, client: Peer, owners: Iterable[str], parent: m.LiveAttempt | None = None) -> None:
        """A client has connected that defines tasks, or has defined some, as `owners`."""
        self._owners[client] = set(owners)
        if parent is not None:
            self._parents[client] = parent

    def forget(self, client: Peer) -> None:
        """The client is gone: its task ids may be taken over."""
        self._owners.pop(client, None)
        self._parents.pop(client, None)
        self._streams.forget(client)
        self._tokens.forget(client)

    def tend(self) -> None:
        """Called about once a second."""
        self._batches.touch(self._time())
        self._bulks.tend()
        self._streams.tend()
        self._tokens.tend()

    def take(self, peer: Peer, message: m.AnyMessage) -> None:
        """Answer what a client says."""
        if not isinstance(message, m.Request):
            logger.warning("unexpected from client", extra={"got": type(message).__name__})
            return
        try:
            self._answer(peer, message)
        except KernelKitError as refusal:
            peer.send(m.Refused(message.id, to_wire(refusal)))
        except Exception as bug:  # one bad request must not end the engine; it is logged with its traceback
            logger.exception("request failed", extra={"request": type(message.body).__name__})
            error = KernelKitError(f"The engine could not carry this out: {type(bug).__name__}: {bug}")
            peer.send(m.Refused(message.id, to_wire(error)))

    def _answer(self, peer: Peer, request: m.Request) -> None:
        body = self._of_the_real_run(request.body)

        def reply(answer: m.ReplyBody) -> None:
            peer.send(m.Reply(request.id, answer))

        def refuse(problem: Exception) -> None:
            error = problem if isinstance(problem, KernelKitError) else KernelKitError(str(problem))
            peer.send(m.Refused(request.id, to_wire(error)))

        if self._core.writer.problem and isinstance(body, _NEEDS_THE_STORE):
            self._core.refuse_if_full()  # it would wait, without a word, until there is space again
        match body:
            case m.Trigger():
                self._trigger(peer, body.items, body.batch_id, request.again, reply, refuse)
            case m.BatchPart():
                self._batches.add(body, self._time())
            case m.BatchSeal():
                self._trigger(peer, self._batches.seal(body), body.batch_id, request.again, reply, refuse)
            case m.RetrieveBatch():
                self._retrieve_batch(body.batch_id, lambda batch, runs: reply(m.BatchReply(batch, runs)), refuse)
            case m.Follow():
                self._core.after_commit(lambda: self._notices.follow(peer, body.run_ids, refuse))
            case m.DefineTask():
                self._define(peer, body, reply)
            case m.Cancel():
                self._cancel(body, reply, refuse)
            case m.Replay():
                self._replay(body, request.again, reply, refuse)
            case m.StartBulk():
                self._bulks.start(body, lambda bulk: reply(m.BulkReply(bulk)), refuse)
            case m.GetBulk():
                self._bulks.retrieve(body.bulk_id, body.wait_s, lambda bulk: reply(m.BulkReply(bulk)))
            case m.AbortBulk():
                self._bulks.abort(body.bulk_id, lambda bulk: reply(m.BulkReply(bulk)))
            case m.Reschedule():
                self._reschedule(body, reply, refuse)
            case m.ResetKey():
                self._core.take(c.ResetKey(body.task_id, body.hash, body.text, body.asked), lambda: reply(m.Done()))
            case m.Retrieve(related=True):
                self._read(
                    self._core.read_run(body.run_id),
                    lambda run: self._read_now(
                        with_relations(self._core, run), lambda whole: reply(m.RunReply(whole)), refuse
                    ),
                    refuse,
                )
            case m.Retrieve():
                self._read(self._core.read_run(body.run_id), lambda run: reply(m.RunReply(run)), refuse)
            case m.ListRuns():
                self._core.flush_history(lambda: self._read(list_runs(self._core, body), reply, refuse))
            case m.GetLogs():
                self._read(lambda: self._core.store.lines_page(body), reply, refuse)
            case m.SummarizeRuns():
                self._core.flush_history(lambda: self._read(summarize_runs(self._core, body), reply, refuse))
            case m.GetSpans():
                self._read(read_spans(self._core.store, body), lambda spans: reply(m.SpansReply(spans)), refuse)
            case m.ListTasks():
                tasks = self._tasks()
                self._core.after_commit(lambda: reply(tasks))
            case m.SaveSchedule() | m.SwitchSchedule() | m.DeleteSchedule() | m.GetSchedule() | m.ListSchedules():
                self._core.refuse_if_full()
                self._schedules.answer(body, reply)
            case m.RunSchedule():
                self._core.refuse_if_full()
                self._run_schedule(body, request.again, reply, refuse)
            case m.ListQueues():
                queues = self._queues()
                self._core.after_commit(lambda: reply(queues))
            case m.RetrieveQueue():
                queue = m.QueueReply(queue_info(self._core.state, body.name, self._core.clock.now()))
                self._core.after_commit(lambda: reply(queue))
            case m.PauseQueue():
                self._core.take(c.PauseQueue(body.name, body.paused), lambda: reply(self._queue(body.name)))
            case m.OverrideQueue():
                command = c.OverrideQueue(body.name, body.limit, self._core.capacity.attempts)
                self._core.take(command, lambda: reply(self._queue(body.name)))
            case m.GetStatus() if self._core.writer.problem:  # what is wrong must not wait until it is right again
                self._read_now(self._status(body.history), reply, refuse)
            case m.GetStatus(history=False):
                self._read(self._status(False), reply, refuse)
            case m.GetStatus():
                self._core.flush_history(lambda: self._read(self._status(True), reply, refuse))
            case m.MakeToken() | m.CompleteToken():
                self._tokens.change(body, reply)
            case m.RetrieveToken():
                self._tokens.retrieve(peer, body, reply)
            case m.ListTokens():
                page = self._tokens.page(body)
                self._core.after_commit(lambda: reply(page))
            case m.AppendStream():
                self._streams.append(body, reply, refuse)
            case m.ReadStream():
                self._streams.read(peer, body, reply, refuse)
            case m.ListStreams():
                self._streams.tails(body, reply, refuse)
            case m.Watch():
                self._core.after_commit(lambda: self._watch(peer, body.run_id, reply))
            case m.Unwatch():
                self._notices.unwatch(peer, body.run_id)
                reply(m.Done())
            case m.SubscribeRuns():
                self._notices.subscriptions.begin(peer, body.key, body.where)
                reply(m.Done())
            case m.UnsubscribeRuns():
                self._notices.subscriptions.end(peer, body.key)
                reply(m.Done())
            case m.Export():
                export(self._core, body, lambda read, then: self._off_loop(self._core.query, read, then, refuse), reply)
            case m.Sql():
                answer_sql(
                    self._core, body, lambda read, then: self._off_loop(self._core.query, read, then, refuse), reply
                )
            case m.StopEngine() if self._core.writer.problem:  # what is not on disk is lost, as it would be in a crash
                self._stop_engine(body, reply)
            case m.StopEngine():
                self._core.after_commit(lambda: self._stop_engine(body, reply))
            case _:
                assert_never(body)

    def _of_the_real_run(self, body: m.RequestBody) -> m.RequestBody:
        """A run that was triggered inside another may be asked for by the name it had before it was answered."""
        match body:
            case (
                m.Retrieve()
                | m.Cancel()
                | m.Reschedule()
                | m.GetLogs()
                | m.AppendStream()
                | m.ReadStream()
                | m.ListStreams()
            ):
                answer = self._core.state.answers.get(body.run_id)
                return replace(body, run_id=answer.run_id) if answer is not None and answer.run_id else body
            case _:
                return body

    def _trigger(
        self,
        peer: Peer,
        items: tuple[m.TriggerItem, ...],
        batch_id: str,
        again: bool,
        reply: Answer,
        refuse: Refuse,
    ) -> None:
        self._core.refuse_if_full()
        self._refuse_unknown_surroundings(items)
        command = c.TriggerRuns(items, batch_id)
        if (parent := self._parents.get(peer)) is not None:
            command = replace(command, parent_id=parent.run_id, parent_fence=parent.fence)

        def take(known: frozenset[str], made: BatchRecord | None) -> None:
            changes = self._core.take(replace(command, known=known, made=made), lambda: reply(answer))
            answer = triggered(self._core.state, items, _batch_of(changes) or made)

        if not again:
            take(frozenset(), None)
            return
        # The answer was lost with a connection: some or all of these runs may exist, and may be over.
        # Those found here now are known for certain, even if they are over and in history by the time it is read.
        ids = frozenset(item.run_id for item in items)
        here = frozenset(run_id for run_id in ids if self._core.view(run_id) is not None)

        def taken(known: frozenset[str]) -> None:
            ended = frozenset(run_id for run_id in ids if self._core.ledger.get(run_id) is not None)
            try:
                take(here | known | ended, None)
            except KernelKitError as refusal:
                refuse(refusal)

        def batch_read(made: BatchRecord | None) -> None:
            try:
                take(frozenset(), made)
            except KernelKitError as refusal:
                refuse(refusal)

        if batch_id:  # its runs were made all at once, and it tells what became of them
            self._read(lambda: self._core.store.batch(batch_id), batch_read, refuse)
        else:
            self._read(lambda: frozenset(self._core.store.runs_of(ids - here)), taken, refuse)

    def _replay(self, body: m.Replay, again: bool, reply: Answer, refuse: Refuse) -> None:
        """Make a new run of what an earlier one was triggered with; that one may be live, or over for long."""
        self._core.refuse_if_full()
        new_id = body.item.run_id

        def read() -> tuple[Run, bool]:
            return source(), again and self._core.store.run(new_id) is not None

        def found(facts: tuple[Run, bool]) -> None:
            run, was_made = facts
            item = replayed_item(run, body.item, body.given, self._core.state)
            known = frozenset({new_id} if was_made or self._core.view(new_id) is not None else ())
            try:
                self._core.take(c.TriggerRuns((item,), known=known))
            except KernelKitError as refusal:
                refuse(refusal)
                return
            (made,) = triggered(self._core.state, (item,), None).run_ids  # an earlier run's, if a key says so
            self._core.after_commit(lambda: self._reply_with(made, reply, refuse))

        source = self._core.read_run(body.run_id)
        self._read(read, found, refuse)

    def _reply_with(self, run_id: str, reply: Answer, refuse: Refuse) -> None:
        view = self._core.view(run_id)
        if view is not None:
            reply(m.RunReply(view))
        else:  # over for long, and asked for again
            self._read_now(self._core.read_run(run_id), lambda run: reply(m.RunReply(run)), refuse)

    def _retrieve_batch(
        self, batch_id: str, then: Callable[[BatchRecord, tuple[Run, ...]], None], refuse: Refuse
    ) -> None:
        """Read the batch off the loop, then those of its runs that are over for longer."""
        core = self._core

        def read() -> BatchRecord:
            found = core.store.batch(batch_id)
            if found is None:
                raise UnknownRunError(f"There is no batch {batch_id!r} in this project.", run_id=batch_id)
            return found

        def found(batch: BatchRecord) -> None:
            here = {i: view for i in batch.run_ids if i and (view := core.view(i, count_ahead=False)) is not None}
            away = [run_id for run_id in batch.run_ids if run_id and run_id not in here]

            def known(kept: dict[str, Run]) -> None:
                runs = here | kept
                then(batch, tuple(runs[run_id] for run_id in batch.run_ids if run_id in runs))

            if away:
                self._read_now(lambda: core.store.runs_of(away, with_values=False), known, refuse)
            else:
                core.after_commit(lambda: known({}))

        self._read(read, found, refuse)

    def _refuse_unknown_surroundings(self, items: tuple[m.TriggerItem, ...]) -> None:
        for env_id, item in {item.env_id: item for item in items if item.env_id}.items():
            path = os.path.join(self._home.environments, f"{env_id}.json")  # at each trigger: no `Path` is made
            if not os.path.exists(path):
                raise TaskDefinitionError(
                    f"The file {path} with the surroundings that {item.task_id!r} was triggered from is missing. "
                    "Trigger it again.",
                    task_id=item.task_id,
                )

    def _define(self, peer: Peer, body: m.DefineTask, reply: Answer) -> None:
        spec = body.spec
        self._core.refuse_if_full()
        for path in (self._home.bundles / spec.bundle, self._home.environments / f"{spec.env_id}.json"):
            if not path.exists():
                raise TaskDefinitionError(
                    f"The file {path} that belongs to the task {spec.id!r} is missing. Define the task again.",
                    task_id=spec.id,
                )
        before = self._core.state.tasks.get(spec.id)
        connected = frozenset(itertools.chain.from_iterable(self._owners.values()))
        self._core.take(
            c.DefineTask(spec, body.replace, connected),
            lambda: reply(m.Defined(spec.id, now.number, before is None or before.number != now.number, notice)),
        )
        self._owners.setdefault(peer, set()).add(str(spec.owner))
        now = self._core.state.tasks[spec.id]
        notice = ""
        if before is not None and before.spec.owner != spec.owner:
            notice = f"The task {spec.id!r} was taken over from {before.spec.owner}."

    def _reschedule(self, body: m.Reschedule, reply: Answer, refuse: Refuse) -> None:
        def rescheduled() -> None:  # read, since the run of a request that was sent again may be over for long
            self._read_now(self._core.read_run(body.run_id), lambda run: reply(m.RunReply(run)), refuse)

        self._core.take(c.RescheduleRun(body.run_id, body.delay_s, body.delay_until, body.asked), rescheduled)

    def _run_schedule(self, body: m.RunSchedule, again: bool, reply: Answer, refuse: Refuse) -> None:
        def take(known: bool) -> None:
            try:
                self._core.take(c.RunSchedule(body.id, body.run_id, known), lambda: reply(m.Triggered((body.run_id,))))
            except KernelKitError as refusal:
                refuse(refusal)

        if again and self._core.view(body.run_id) is None:
            self._read(lambda: self._core.store.run(body.run_id) is not None, take, refuse)
        else:
            take(again)

    def _cancel(self, body: m.Cancel, reply: Answer, refuse: Refuse) -> None:
        if body.run_id not in self._core.state.runs:
            self._read(self._core.read_run(body.run_id), lambda run: reply(m.RunReply(run)), refuse)
            return

        def canceled() -> None:
            view = self._core.view(body.run_id)
            if view is None:
                refuse(UnknownRunError(f"The run {body.run_id} is no longer kept.", run_id=body.run_id))
            else:
                reply(m.RunReply(view))

        self._core.take(c.CancelRun(body.run_id, body.reason), canceled)

    def _watch(self, peer: Peer, run_id: str, reply: Answer) -> None:
        self._notices.watch(peer, run_id)
        reply(m.Done())

    def _stop_engine(self, body: m.StopEngine, reply: Answer) -> None:
        reply(m.Done())
        self._stop(body)

    def _status(self, history: bool) -> Callable[[], m.EngineStatus]:
        return engine_status(
            self._core,
            self._silent_for,
            self._home,
            self._pid,
            self._started_at,
            clients=len(self._owners),
            history=history,
        )

    def _tasks(self) -> m.TaskList:
        state = self._core.state
        return m.TaskList(
            tuple(
                m.TaskInfo(version.spec, version.number, tuple(state.numbers.get(task_id, ())))
                for task_id, version in sorted(state.tasks.items())
            )
        )

    def _queues(self) -> m.QueueList:
        state = self._core.state
        return m.QueueList(queue_infos(state, self._core.clock.now()), state.paused)

    def _queue(self, name: str) -> m.QueueReply | m.QueueList:
        """The queue after a change; all of them where the project was meant."""
        if not name:
            return self._queues()
        return m.QueueReply(queue_info(self._core.state, name, self._core.clock.now()))

    def _read(self, read: Callable[[], T], then: Callable[[T], None], refuse: Refuse) -> None:
        """Read off the loop, after everything taken so far is on disk."""
        self._core.after_commit(lambda: self._read_now(read, then, refuse))

    def _read_now(self, read: Callable[[], T], then: Callable[[T], None], refuse: Refuse) -> None:
        """Read off the loop what is on disk."""
        self._off_loop(self._core.read, read, then, refuse)

    def _off_loop(self, port: ReadPort, read: Callable[[], T], then: Callable[[T], None], refuse: Refuse) -> None:
        def safely() -> T | _Problem:
            try:
                return read()
            except Exception as problem:  # whatever went wrong is the asker's to know
                return _Problem(problem)

        def done(result: T | _Problem) -> None:
            if isinstance(result, _Problem):
                refuse(result.error)
            else:
                then(result)

        port(safely, done)


def _batch_of(changes: list[Change]) -> BatchRecord | None:
    """The batch that was just made."""
    for change in reversed(changes):
        if isinstance(change.event, ev.BatchMade):
            return change.event.batch
    return None


class _Problem:
    def __init__(self, error: Exception) -> None:
        self.error = error
