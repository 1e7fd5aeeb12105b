"""A simulated worker process: it runs bodies, keeps every report until its ack, and may end at any moment."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kernelkit.models.error import Error
from kernelkit.models.task import Isolation
from kernelkit.models.value import Value
from kernelkit.wire import messages as m

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(eq=False)
class Pipe:
    """One connection: what was sent and has not arrived. Breaking it loses what is still in it."""

    to_worker: deque[m.AnyMessage] = field(default_factory=deque)
    to_engine: deque[m.Report] = field(default_factory=deque)
    broken: bool = False


@dataclass
class Body:
    """The code of one attempt, from its start until its last report is acked."""

    run_id: str
    fence: str
    attempt: int
    runs: bool = True
    began: bool = False
    stopping: bool = False
    ops: int = 0
    last_op: m.ReportBody | None = None
    sent: dict[str, int] = field(default_factory=dict)  # values appended to streams, by op
    again: dict[str, int] = field(default_factory=dict)  # those that a body which is called again comes to once more
    waits: set[str] = field(default_factory=set)  # op keys whose results it does not have
    given: set[str] = field(default_factory=set)
    suspended: bool = False


class SimWorker:
    """One process."""

    def __init__(self, world: World, worker_id: str, env_id: str, isolation: Isolation, pid: int) -> None:
        self.world = world
        self.id = worker_id
        self.env_id = env_id
        self.isolation = isolation
        self.pid = pid
        self.alive = True
        self.retired = False
        self.pipe: Pipe | None = None
        self.bodies: dict[tuple[str, str], Body] = {}  # by run id and fence
        self.unacked: list[m.Report] = []
        self.noted: set[str] = set()  # in memory that outlives it: fences that have begun
        self._seq = 0

    # ---- messages ------------------------------------------------------------------------------------------------

    def hello(self) -> tuple[m.LiveAttempt, ...]:
        return tuple(m.LiveAttempt(body.run_id, body.fence, body.attempt) for body in self.bodies.values())

    def receive(self, message: m.AnyMessage) -> None:
        match message:
            case m.StartAttempt():
                self.world.body_starts(self, message)
                made = Body(message.run_id, message.fence, message.attempt)
                made.last_op = self.world.last_ops.get((message.run_id, message.attempt))
                if message.replay is not None:
                    self.world.facts.note("resumed from checkpoints")
                    made.waits = set(message.replay.open)
                    made.again = dict(message.replay.sent)
                    made.given = {result.op for result in message.replay.results}
                self.bodies[message.run_id, message.fence] = made
                self.world.body_goes_on(self, made)
            case m.WaitsOver():
                found = self.bodies.get((message.run_id, message.fence))
                if found is not None and found.runs:
                    self._told(found, {result.op for result in message.results})
            case m.StopAttempt():
                body = self.bodies.get((message.run_id, message.fence))
                if body is not None and body.runs:
                    body.stopping = True
            case m.Ack():
                self._acked(message.seq)
            case m.Retire():
                self.retired = True

    def _acked(self, seq: int) -> None:
        for report in self.unacked:
            if report.seq <= seq and isinstance(report.body, m.Succeeded | m.Failed | m.Stopped):
                self.bodies.pop((report.run_id, report.fence), None)
                self.noted.discard(report.fence)
        self.unacked = [report for report in self.unacked if report.seq > seq]

    def report(self, body: Body, what: m.ReportBody) -> None:
        self._seq += 1
        report = m.Report(self._seq, body.run_id, body.fence, what)
        self.unacked.append(report)
        if self.pipe is not None:
            self.pipe.to_engine.append(report)

    def connect(self, pipe: Pipe) -> None:
        """The engine has answered the hello: what it may not have is sent again, in order."""
        self.pipe = pipe
        pipe.to_engine.extend(self.unacked)

    def _told(self, body: Body, ops: set[str]) -> None:
        fresh = ops - body.given
        body.given |= fresh
        body.waits -= fresh
        if fresh and body.suspended:
            body.suspended = False
            self.world.suspended.discard(body.fence)
            self.report(body, m.Started(self.world.now))

    # ---- bodies --------------------------------------------------------------------------------------------------

    def running(self) -> list[Body]:
        return [body for body in self.bodies.values() if body.runs]

    def begin(self, body: Body) -> None:
        body.began = True
        self.noted.add(body.fence)
        self.world.begun.add(body.fence)
        self.report(body, m.Started(self.world.now))

    def operate(self, body: Body, what: m.ReportBody) -> None:
        body.ops += 1
        body.last_op = what
        self.world.last_ops[body.run_id, body.attempt] = what
        self.report(body, what)

    def wait(self, body: Body, what: m.OpenWait) -> None:
        body.waits.add(what.op)
        self.report(body, what)

    def suspend(self, body: Body) -> None:
        body.suspended = True
        self.world.suspended.add(body.fence)
        self.report(body, m.Suspend(tuple(sorted(body.waits)), 1_000, hold_for=self.world.random.choice((20.0, 600.0))))

    def drop_wait(self, body: Body) -> None:
        op = min(body.waits)
        body.waits.discard(op)
        body.given.add(op)
        self.report(body, m.DropWait(op))

    def repeat_op(self, body: Body) -> None:
        """The call is sent once more, as after a reply that was lost: another report with the same op key."""
        if body.last_op is not None:
            self.report(body, body.last_op)

    def succeed(self, body: Body) -> None:
        self._end(body, "succeeded")
        self.report(body, m.Succeeded(Value(text=f'"{body.fence}"', size=9), self.world.now, self.world.now))

    def fail(self, body: Body, *, retry: bool, out_of_memory: bool) -> None:
        self._end(body, "failed")
        error = Error("ValueError", body.fence)
        now = self.world.now
        self.report(body, m.Failed(error, now, now, retry=retry, out_of_memory=out_of_memory))

    def stop(self, body: Body) -> None:
        self._end(body, "stopped")
        self.report(body, m.Stopped(self.world.now, self.world.now))

    def _end(self, body: Body, outcome: str) -> None:
        body.runs = False
        self.world.suspended.discard(body.fence)
        self.world.body_ended(body.fence, outcome)

    def die(self) -> None:
        self.alive = False
        for body in self.running():
            self._end(body, "lost")
