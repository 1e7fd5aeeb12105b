"""The engine of the simulation: `step` with a disk, and what core and fleet do around it.

`take` decides, applies and writes; what must leave the engine waits in `after` for `commit`. A crash drops both what
was not committed and this object; the next host begins from the disk and from the hellos of the workers that live.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.attempts import StaleFence, lost_worker_error
from kernelkit.engine.decide import Change, next_due, step
from kernelkit.engine.liverun import LiveRun
from kernelkit.errors import KernelKitError, RunOverError
from kernelkit.models import event as ev
from kernelkit.models.task import Isolation
from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from tests.simulation import schedules
from tests.simulation.batch_laws import batches_are_refused_whole
from tests.simulation.laws import BrokenLaw
from tests.simulation.pending_laws import no_run_waits_for_a_task_that_is_there
from tests.simulation.standing_laws import STEP_LAWS, cancels_reach_the_children
from tests.simulation.worker import Pipe, SimWorker

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass
class Link:
    """A worker as the host knows it."""

    id: str
    env_id: str
    isolation: Isolation
    pipe: Pipe | None = None
    waiting: dict[str, m.StartAttempt] = field(default_factory=dict)


class Host:
    """One life of the engine."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.state = world.disk.recover()
        self.after: list[Callable[[], None]] = []
        self.command: c.Command = c.Tick()  # the one being carried out
        self.links = {
            worker.id: Link(worker.id, worker.env_id, worker.isolation) for worker in self.state.workers.values()
        }

    # ---- core ----------------------------------------------------------------------------------------------------

    def take(self, command: c.Command, then: Callable[[], None] | None = None) -> list[Change]:
        world = self.world
        world.facts.count(command)
        self.command = command
        try:
            changes = step(self.state, command, world.capacity, world.now, world.dice)
        except AssertionError as failed:
            raise BrokenLaw("the_engines_own_check", str(failed)) from failed
        except (StaleFence, RunOverError):  # whoever asks may no longer
            raise
        except KernelKitError:
            batches_are_refused_whole(world, command)
            raise
        world.step_events.clear()
        for change in changes:
            world.told(change)
            self._follow(change)
        cancels_reach_the_children(world)
        for law in (*STEP_LAWS, no_run_waits_for_a_task_that_is_there, *schedules.STEP_LAWS):
            law(world, self.state)
        if then is not None:
            self.after.append(then)
        return changes

    def try_take(self, command: c.Command, then: Callable[[], None] | None = None) -> bool:
        """False when the command is refused."""
        before = self.state.seq
        try:
            self.take(command, then)
        except KernelKitError:
            if self.state.seq != before:
                raise BrokenLaw("refusals_change_nothing", str(command)) from None
            self.world.facts.note("refusal")
            return False
        return True

    def commit(self) -> None:
        self.world.disk.commit()
        while self.after:
            calls, self.after = self.after, []
            for call in calls:
                call()
            self.world.disk.commit()

    def tick(self) -> None:
        due = next_due(self.state)
        if due is not None and due <= self.world.now:
            self.take(c.Tick())

    def _follow(self, change: Change) -> None:
        event, run = change.event, change.run
        if isinstance(event, ev.RunDispatched):
            start = m.StartAttempt(
                event.run_id,
                event.run_id,
                event.fence,
                event.attempt,
                event.max_attempts,
                event.bundle,
                Value(),
                event.version,
                "",
                0,
            )
            self.after.append(lambda: self._start(event.worker_id, event.env_id, start, resumes=event.resumes))
        elif isinstance(event, ev.WaitOver | ev.RunResumed) and run is not None:
            self.after.append(lambda: self._tell(run))
        elif isinstance(event, ev.AttemptParked) and event.let_go:
            self.after.append(lambda: self.world.let_go(event.let_go))
        elif isinstance(event, ev.RunCanceled | ev.RunTimedOut) and run is not None and run.fence:
            stop = m.StopAttempt(run.id, run.fence, run.stop_reason or "")
            self.after.append(lambda: self._stop(run.worker_id, stop))

    # ---- fleet ---------------------------------------------------------------------------------------------------

    def _tell(self, run: LiveRun) -> None:
        """Give the attempt the results of all its waits; those it has it does not mind."""
        link = self.links.get(run.worker_id)
        if self.state.runs.get(run.id) is not run or link is None or link.pipe is None or run.id in link.waiting:
            return
        if run.fence and not run.suspended_at and run.done:
            link.pipe.to_worker.append(m.WaitsOver(run.id, run.fence, results_of(run)))

    def _start(self, worker_id: str, env_id: str, attempt: m.StartAttempt, *, resumes: bool) -> None:
        run = self.state.runs.get(attempt.run_id)
        if run is None or run.fence != attempt.fence:
            return
        if resumes:
            attempt = replace(
                attempt, replay=m.Resumption(results_of(run), tuple(run.waits), dict(run.ops), dict(run.sent))
            )
        if run.stop_reason is not None:
            self.world.facts.note("canceled before it was sent")
            self.try_take(c.TakeReport(run.id, run.fence, m.Stopped(self.world.now)))
            return
        link = self.links.get(worker_id)
        if link is None:
            link = self.links[worker_id] = Link(worker_id, env_id, run.isolation)
            self.world.orders.append(worker_id)
        if link.pipe is not None:
            link.pipe.to_worker.append(attempt)
        else:
            link.waiting[attempt.run_id] = attempt

    def _stop(self, worker_id: str, attempt: m.StopAttempt) -> None:
        link = self.links.get(worker_id)
        if link is None:
            return
        if link.waiting.pop(attempt.run_id, None) is not None:
            self.try_take(c.TakeReport(attempt.run_id, attempt.fence, m.Stopped(self.world.now)))
        elif link.pipe is not None:
            link.pipe.to_worker.append(attempt)

    def hello(self, worker: SimWorker) -> None:
        """A worker dials in, the first time or again."""
        known = self.state.workers.get(worker.id)
        pipe = Pipe()
        if known is None:
            pipe.to_worker.append(m.Retire())
            for live in worker.hello():
                pipe.to_worker.append(m.StopAttempt(live.run_id, live.fence, "no longer here"))
            worker.connect(pipe)
            return
        link = self.links.setdefault(worker.id, Link(worker.id, worker.env_id, worker.isolation))
        link.pipe = pipe
        if known.pid != worker.pid:
            self.take(c.WorkerAppeared(worker.id, worker.pid, 0.0, "boot"))
        held = {live.run_id: live.fence for live in worker.hello()}
        for run_id, fence in held.items():
            run = self.state.runs.get(run_id)
            if run is None or run.fence != fence:
                pipe.to_worker.append(m.StopAttempt(run_id, fence, "another attempt took its place"))
            elif run.stop_reason is not None:
                pipe.to_worker.append(m.StopAttempt(run_id, fence, run.stop_reason))
        for run_id in sorted(self.state.by_worker.get(worker.id, ())):
            fence = self.state.runs[run_id].fence
            if held.get(run_id) != fence and run_id not in link.waiting:
                self.take(c.AttemptNeverArrived(run_id, fence))
        if known.retired:
            pipe.to_worker.append(m.Retire())
        pipe.to_worker.extend(link.waiting.values())
        link.waiting.clear()
        for run_id in sorted(self.state.by_worker.get(worker.id, ())):
            self._tell(self.state.runs[run_id])
        worker.connect(pipe)

    def report(self, worker_id: str, report: m.Report, pipe: Pipe) -> None:
        """A report arrives, for the first time or again."""

        def ack() -> None:
            if not pipe.broken:
                pipe.to_worker.append(m.Ack(report.seq))

        try:
            self.take(c.TakeReport(report.run_id, report.fence, report.body), ack)
        except StaleFence as stale:
            self.world.facts.note("report under a stale fence")
            if not isinstance(report.body, m.Succeeded | m.Failed | m.Stopped):
                pipe.to_worker.append(m.StopAttempt(report.run_id, report.fence, str(stale)))
            self.after.append(ack)
        except KernelKitError:
            self.world.facts.note("refusal")
            self.after.append(ack)

    def cut(self, worker: SimWorker, keep: int) -> None:
        """The connection breaks after the first `keep` of the reports under way have come in."""
        pipe = worker.pipe
        if pipe is None:
            return
        while pipe.to_engine and keep > 0:
            self.report(worker.id, pipe.to_engine.popleft(), pipe)
            keep -= 1
        pipe.broken = True
        worker.pipe = None
        link = self.links.get(worker.id)
        if link is not None and link.pipe is pipe:
            link.pipe = None

    def exited(self, worker_id: str, noted: set[str] | None, *, out_of_memory: bool) -> None:
        """The process is seen to have ended: the reports it wrote down come first, then its attempts are given up.

        `noted` are the fences it had begun, as far as a keeper can tell.
        """
        for report in self.world.orphans.pop(worker_id, []):
            self.world.facts.note("orphan")
            self.try_take(c.TakeReport(report.run_id, report.fence, report.body))
        link = self.links.pop(worker_id, None)
        undelivered = frozenset(link.waiting) if link is not None else frozenset()
        if undelivered:
            self.world.facts.note("worker ended at its start")
        unbegun = frozenset[str]()
        if noted is not None:
            held = [self.state.runs[run_id] for run_id in self.state.by_worker.get(worker_id, ())]
            unbegun = frozenset(run.id for run in held if not run.attempt_started_at and run.fence not in noted)
        if unbegun - undelivered:
            self.world.facts.note("worker lost before it began")
        error = lost_worker_error(worker_id)
        self.take(c.WorkerEnded(worker_id, error, out_of_memory, undelivered=undelivered, unbegun=unbegun))

    def never_began(self, worker_id: str, *, blames_worker: bool) -> None:
        self.links.pop(worker_id, None)
        self.take(c.WorkerNeverBegan(worker_id, "no such interpreter", blames_worker))

    def retire(self, worker_id: str) -> None:
        self.take(c.RetireWorker(worker_id))
        link = self.links.get(worker_id)
        if link is not None and link.pipe is not None:
            pipe = link.pipe
            self.after.append(lambda: pipe.to_worker.append(m.Retire()))


def results_of(run: LiveRun) -> tuple[m.WaitResult, ...]:
    """What came of the run's waits, in the order in which they were over."""
    return tuple(m.WaitResult(op, done.wait.type, done.value, done.timed_out) for op, done in run.done.items())
