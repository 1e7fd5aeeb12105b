"""Connections to the engine: who they are, and what clients ask.

Keepers and workers are handed to the fleet; everything a client can ask is answered here, each answer after the commit
of what it says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar, assert_never

from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.batches import OpenBatches
from kernelkit.engine.core import Core
from kernelkit.engine.fleet import Fleet
from kernelkit.engine.listing import list_runs
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.notices import Notices
from kernelkit.engine.status import engine_status
from kernelkit.errors import KernelKitError, TaskDefinitionError, UnknownRunError, VersionMismatchError, to_wire
from kernelkit.version import __version__
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from kernelkit.wire.discovery import is_trusted

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Server:
    """Takes connections and answers clients."""

    def __init__(
        self,
        core: Core,
        fleet: Fleet,
        notices: Notices,
        logbook: Logbook,
        home: Home,
        *,
        pid: int,
        started_at: int,
        monotonic: Callable[[], float],
        stop: Callable[[m.StopEngine], None],
    ) -> None:
        self._core = core
        self._fleet = fleet
        self._notices = notices
        self._logbook = logbook
        self._home = home
        self._pid = pid
        self._started_at = started_at
        self._time = monotonic
        self._stop = stop
        self._batches = OpenBatches()
        self.clients: dict[Channel, m.Hello] = {}

    # ---- connections -----------------------------------------------------------------------------------------------

    def opened(self, channel: Channel) -> None:
        if not is_trusted(channel.peer):
            logger.warning("refused a connection of another user", extra={"uid": channel.peer.uid})
            channel.close()

    def first_message(self, channel: Channel, message: m.AnyMessage) -> None:
        """The opening of every connection; later messages go where its role says."""
        if not isinstance(message, m.Hello):
            channel.close()
            return
        if message.protocol not in (m.PROTOCOL, m.PROTOCOL - 1):
            older = "client" if message.protocol < m.PROTOCOL else "engine"
            error = VersionMismatchError(
                f"The engine of {self._home.path} speaks protocol {m.PROTOCOL} (kernelkit {__version__}), this "
                f"process speaks {message.protocol} (kernelkit {message.package or 'unknown'}). The {older} is older: "
                "install the same kernelkit in both environments, then run `kernelkit restart`.",
                engine=m.PROTOCOL,
                client=message.protocol,
            )
            channel.send(m.Refused(0, to_wire(error)))
            return
        channel.send(m.Welcome(self._pid, m.PROTOCOL, __version__, str(self._home.path), self._started_at))
        match message.role:
            case "client":
                self.clients[channel] = message
                channel.on_message = self._client_message
                channel.on_close = self._client_closed
            case "keeper":
                env_id = message.env_id
                channel.on_message = lambda _, got: self._fleet.keeper_message(env_id, got)
                channel.on_close = lambda closed: self._fleet.keeper_closed(env_id, closed)
                self._fleet.keeper_hello(channel, message)
            case "worker":
                worker_id = message.name
                channel.on_message = lambda from_, got: self._worker_message(worker_id, from_, got)
                channel.on_close = lambda closed: self._fleet.worker_closed(worker_id, closed)
                self._fleet.worker_hello(channel, message)
            case _:
                assert_never(message.role)

    def _worker_message(self, worker_id: str, channel: Channel, message: m.AnyMessage) -> None:
        if isinstance(message, m.WorkerLogs):
            self._core.add_lines(self._logbook.take(message))
            self._notices.lines_came(message.run_id)
        else:
            self._fleet.worker_message(worker_id, channel, message)

    def _client_closed(self, channel: Channel) -> None:
        self.clients.pop(channel, None)
        self._notices.forget(channel)

    def tend(self) -> None:
        """Called about once a second."""
        self._batches.touch(self._time())

    # ---- requests --------------------------------------------------------------------------------------------------

    def _client_message(self, channel: Channel, message: m.AnyMessage) -> None:
        if not isinstance(message, m.Request):
            logger.warning("unexpected from client", extra={"got": type(message).__name__})
            return
        try:
            self._answer(channel, message)
        except KernelKitError as refusal:
            channel.send(m.Refused(message.id, to_wire(refusal)))
        except Exception as bug:  # one bad request must not end the engine; it is logged with its traceback
            logger.exception("request failed", extra={"request": type(message.body).__name__})
            error = KernelKitError(f"The engine could not carry this out: {type(bug).__name__}: {bug}")
            channel.send(m.Refused(message.id, to_wire(error)))

    def _answer(self, channel: Channel, request: m.Request) -> None:
        body = request.body

        def reply(answer: m.ReplyBody) -> None:
            channel.send(m.Reply(request.id, answer))

        def refuse(problem: Exception) -> None:
            error = problem if isinstance(problem, KernelKitError) else KernelKitError(str(problem))
            channel.send(m.Refused(request.id, to_wire(error)))

        match body:
            case m.Trigger():
                self._trigger(body.items, body.batch_id, request.again, reply, refuse)
            case m.BatchPart():
                self._core.refuse_if_full()
                self._batches.add(body, self._time())
            case m.BatchSeal():
                self._trigger(self._batches.seal(body), body.batch_id, request.again, reply, refuse)
            case m.Follow():
                self._core.after_commit(lambda: self._notices.follow(channel, body.run_ids, refuse))
            case m.DefineTask():
                self._define(body, reply)
            case m.Cancel():
                self._cancel(body, reply, refuse)
            case m.Retrieve():
                self._read(self._core.read_run(body.run_id), lambda run: reply(m.RunReply(run)), refuse)
            case m.ListRuns():
                self._core.flush_history(lambda: self._read(list_runs(self._core, body), reply, refuse))
            case m.GetLogs():
                self._read(
                    lambda: self._core.store.lines(body.run_id, body.limit),
                    lambda logs: reply(m.LogsReply(logs)),
                    refuse,
                )
            case m.ListTasks():
                reply(self._tasks())
            case m.GetStatus():
                clients = len(self.clients)
                self._core.flush_history(
                    lambda: self._read(
                        engine_status(self._core, self._fleet, self._home, self._pid, self._started_at, clients),
                        reply,
                        refuse,
                    )
                )
            case m.Watch():
                self._core.after_commit(lambda: self._watch(channel, body.run_id, reply))
            case m.Unwatch():
                self._notices.unwatch(channel, body.run_id)
                reply(m.Done())
            case m.StopEngine():
                self._core.after_commit(lambda: self._stop_engine(body, reply))
            case _:
                assert_never(body)

    def _trigger(
        self,
        items: tuple[m.TriggerItem, ...],
        batch_id: str,
        again: bool,
        reply: Callable[[m.ReplyBody], None],
        refuse: Callable[[Exception], None],
    ) -> None:
        self._core.refuse_if_full()
        answer = m.Triggered(tuple(item.run_id for item in items))
        if not again:
            self._core.take(c.TriggerRuns(items, batch_id), lambda: reply(answer))
            return
        # The answer was lost with a connection: some or all of these runs may exist, and may be over.
        ids = [item.run_id for item in items if self._core.view(item.run_id) is None]

        def taken(known: frozenset[str]) -> None:
            ended = frozenset(item.run_id for item in items if self._core.ledger.get(item.run_id) is not None)
            try:
                self._core.take(c.TriggerRuns(items, batch_id, known | ended), lambda: reply(answer))
            except KernelKitError as refusal:
                refuse(refusal)

        self._read(lambda: frozenset(i for i in ids if self._core.store.run(i) is not None), taken, refuse)

    def _define(self, body: m.DefineTask, reply: Callable[[m.ReplyBody], None]) -> None:
        spec = body.spec
        self._core.refuse_if_full()
        for path in (self._home.bundles / spec.bundle, self._home.environments / f"{spec.env_id}.json"):
            if not path.exists():
                raise TaskDefinitionError(
                    f"The file {path} that belongs to the task {spec.id!r} is missing. Define the task again.",
                    task_id=spec.id,
                )
        before = self._core.state.tasks.get(spec.id)
        connected = frozenset(hello.owner for hello in self.clients.values() if hello.owner)
        self._core.take(
            c.DefineTask(spec, body.replace, connected),
            lambda: reply(m.Defined(spec.id, now.number, before is None or before.number != now.number, notice)),
        )
        now = self._core.state.tasks[spec.id]
        notice = ""
        if before is not None and before.spec.owner != spec.owner:
            notice = f"The task {spec.id!r} was taken over from {before.spec.owner}."

    def _cancel(
        self, body: m.Cancel, reply: Callable[[m.ReplyBody], None], refuse: Callable[[Exception], None]
    ) -> None:
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

    def _watch(self, channel: Channel, run_id: str, reply: Callable[[m.ReplyBody], None]) -> None:
        self._notices.watch(channel, run_id)
        reply(m.Done())

    def _stop_engine(self, body: m.StopEngine, reply: Callable[[m.ReplyBody], None]) -> None:
        reply(m.Done())
        self._stop(body)

    def _tasks(self) -> m.TaskList:
        state = self._core.state
        return m.TaskList(
            tuple(
                m.TaskInfo(version.spec, version.number, tuple(state.numbers.get(task_id, ())))
                for task_id, version in sorted(state.tasks.items())
            )
        )

    def _read(self, read: Callable[[], T], then: Callable[[T], None], refuse: Callable[[Exception], None]) -> None:
        """Read off the loop, after everything taken so far is on disk."""

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

        self._core.after_commit(lambda: self._core.read(safely, done))


class _Problem:
    def __init__(self, error: Exception) -> None:
        self.error = error
