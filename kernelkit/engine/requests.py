"""What clients ask, and the answers: each leaves after the commit of what it says.

Whatever takes more than a command and a reply has a desk of its own (`triggerdesk.py`, `bulkwork.py` and so on); here
is who answers what.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import assert_never

from msgspec.structs import replace

from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.bulkwork import BulkWork
from kernelkit.engine.core import Core
from kernelkit.engine.listing import list_runs, summarize_runs
from kernelkit.engine.notices import Notices, Peer
from kernelkit.engine.offloop import Refuse, read_now, read_settled, read_through
from kernelkit.engine.queues import queue_info, queue_infos
from kernelkit.engine.relations import with_relations
from kernelkit.engine.scheduledesk import ScheduleDesk
from kernelkit.engine.spans import read_spans
from kernelkit.engine.sql import answer_sql, export
from kernelkit.engine.status import engine_status
from kernelkit.engine.streamdesk import StreamDesk
from kernelkit.engine.taskdesk import TaskDesk
from kernelkit.engine.tokens import Tokens
from kernelkit.engine.triggerdesk import TriggerDesk
from kernelkit.errors import KernelKitError, UnknownRunError, to_wire
from kernelkit.wire import messages as m

logger = logging.getLogger(__name__)

_NEEDS_THE_STORE = (
    m.DefineTask
    | m.RetrieveBatch
    | m.Cancel
    | m.Replay
    | m.StartBulk
    | m.AbortBulk
    | m.Reschedule
    | m.RetryNow
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
        self._silent_for = silent_for
        self._stop = stop
        self._tasks = TaskDesk(core, home)
        self._triggers = TriggerDesk(core, home, monotonic)
        self._bulks = BulkWork(core, monotonic)
        self._schedules = ScheduleDesk(core)
        self._tokens = Tokens(core, monotonic)
        self._streams = StreamDesk(core, monotonic, notices.stream_grew)

    def greet(self, client: Peer, owners: Iterable[str], parent: m.LiveAttempt | None = None) -> None:
        """A client has connected that defines tasks, or has defined some, as `owners`."""
        self._tasks.greet(client, owners)
        if parent is not None:
            self._triggers.greet(client, parent)

    def forget(self, client: Peer) -> None:
        """The client is gone: its task ids may be taken over."""
        self._tasks.forget(client)
        self._triggers.forget(client)
        self._streams.forget(client)
        self._tokens.forget(client)

    def tend(self) -> None:
        """Called about once a second."""
        self._triggers.tend()
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
                self._triggers.trigger(peer, body.items, body.batch_id, request.again, reply, refuse)
            case m.BatchPart():
                self._triggers.add(body)
            case m.BatchSeal():
                self._triggers.seal(peer, body, request.again, reply, refuse)
            case m.RetrieveBatch():
                self._triggers.retrieve_batch(
                    body.batch_id, lambda batch, runs: reply(m.BatchReply(batch, runs)), refuse
                )
            case m.Follow():
                self._core.after_commit(lambda: self._notices.follow(peer, body.run_ids, refuse))
            case m.DefineTask():
                self._tasks.define(peer, body, reply)
            case m.Cancel():
                self._cancel(body, reply, refuse)
            case m.Replay():
                self._triggers.replay(body, request.again, reply, refuse)
            case m.StartBulk():
                self._bulks.start(body, lambda bulk: reply(m.BulkReply(bulk)), refuse)
            case m.GetBulk():
                self._bulks.retrieve(body.bulk_id, body.wait_s, lambda bulk: reply(m.BulkReply(bulk)))
            case m.AbortBulk():
                self._bulks.abort(body.bulk_id, lambda bulk: reply(m.BulkReply(bulk)))
            case m.Reschedule():
                moved = c.RescheduleRun(body.run_id, body.delay_s, body.delay_until, body.asked)
                self._take_and_show(moved, reply, refuse)
            case m.RetryNow():
                self._take_and_show(c.RetryNow(body.run_id, body.asked), reply, refuse)
            case m.ResetKey():
                self._core.take(c.ResetKey(body.task_id, body.hash, body.text, body.asked), lambda: reply(m.Done()))
            case m.Retrieve(related=True):
                read_settled(
                    self._core,
                    self._core.read_run(body.run_id),
                    lambda run: read_now(
                        self._core, with_relations(self._core, run), lambda whole: reply(m.RunReply(whole)), refuse
                    ),
                    refuse,
                )
            case m.Retrieve():
                read_settled(self._core, self._core.read_run(body.run_id), lambda run: reply(m.RunReply(run)), refuse)
            case m.ListRuns():
                self._core.flush_history(lambda: read_settled(self._core, list_runs(self._core, body), reply, refuse))
            case m.GetLogs():
                read_settled(self._core, lambda: self._core.store.lines_page(body), reply, refuse)
            case m.SummarizeRuns():
                self._core.flush_history(
                    lambda: read_settled(self._core, summarize_runs(self._core, body), reply, refuse)
                )
            case m.GetSpans():
                read_settled(
                    self._core, read_spans(self._core.store, body), lambda spans: reply(m.SpansReply(spans)), refuse
                )
            case m.ListTasks():
                tasks = self._tasks.tasks()
                self._core.after_commit(lambda: reply(tasks))
            case m.SaveSchedule() | m.SwitchSchedule() | m.DeleteSchedule() | m.GetSchedule() | m.ListSchedules():
                self._core.refuse_if_full()
                self._schedules.answer(body, reply)
            case m.RunSchedule():
                self._core.refuse_if_full()
                self._schedules.run(body, request.again, reply, refuse)
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
                read_now(self._core, self._status(body.history), reply, refuse)
            case m.GetStatus(history=False):
                read_settled(self._core, self._status(False), reply, refuse)
            case m.GetStatus():
                self._core.flush_history(lambda: read_settled(self._core, self._status(True), reply, refuse))
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
                export(self._core, body, lambda read, then: read_through(self._core.query, read, then, refuse), reply)
            case m.Sql():
                answer_sql(
                    self._core, body, lambda read, then: read_through(self._core.query, read, then, refuse), reply
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
                | m.RetryNow()
                | m.GetLogs()
                | m.AppendStream()
                | m.ReadStream()
                | m.ListStreams()
            ):
                answer = self._core.state.answers.get(body.run_id)
                return replace(body, run_id=answer.run_id) if answer is not None and answer.run_id else body
            case _:
                return body

    def _take_and_show(self, command: c.RescheduleRun | c.RetryNow, reply: Answer, refuse: Refuse) -> None:
        def taken() -> None:  # read, since the run of a request that was sent again may be over for long
            read_now(self._core, self._core.read_run(command.run_id), lambda run: reply(m.RunReply(run)), refuse)

        self._core.take(command, taken)

    def _cancel(self, body: m.Cancel, reply: Answer, refuse: Refuse) -> None:
        if body.run_id not in self._core.state.runs:
            read_settled(self._core, self._core.read_run(body.run_id), lambda run: reply(m.RunReply(run)), refuse)
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
            clients=self._tasks.clients,
            history=history,
        )

    def _queues(self) -> m.QueueList:
        state = self._core.state
        return m.QueueList(queue_infos(state, self._core.clock.now()), state.paused)

    def _queue(self, name: str) -> m.QueueReply | m.QueueList:
        """The queue after a change; all of them where the project was meant."""
        if not name:
            return self._queues()
        return m.QueueReply(queue_info(self._core.state, name, self._core.clock.now()))
