"""Gets attempts to workers, and knows what became of workers and keepers.

A worker is *connected*, *silent* (its process may live and dial in again) or *gone*; only `gone` ends its attempts. The
state machine holds which attempt is on which worker; here are only the connections, so all of this is made anew after a
crash from the Hellos that come in. All calls come on the engine's loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from kernelkit.config import EngineSettings, Home
from kernelkit.engine import commands as c
from kernelkit.engine.attempts import lost_worker_error
from kernelkit.engine.core import Core
from kernelkit.engine.exits import ended_worker
from kernelkit.engine.intake import Intake
from kernelkit.engine.links import WorkerLink
from kernelkit.engine.orders import catch_up, stop_order, tell_results
from kernelkit.engine.ports import KeeperLauncher
from kernelkit.engine.silence import notice_silence, stalled
from kernelkit.engine.spawning import SPAWN_WITHIN_S, Spawning
from kernelkit.errors import KernelKitError
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from kernelkit.wire.liveness import boot_id, is_alive

logger = logging.getLogger(__name__)

STOOD_STILL_S = 5.0  # between two looks at the workers: it is the engine that was not executed, or its machine
DIAL_IN_S = 2.0  # keepers of a former engine redial several times in that
IDLE_EXCLUSIVE_S = 60.0


class Fleet:
    """All keepers and workers of the home."""

    def __init__(
        self, core: Core, home: Home, settings: EngineSettings, launcher: KeeperLauncher, monotonic: Callable[[], float]
    ) -> None:
        self._core = core
        self._settings = settings
        self._time = monotonic
        self._spawning = Spawning(core, launcher, monotonic, self._never_began)
        self.keepers = self._spawning.keepers
        self.workers: dict[str, WorkerLink] = {}
        self._tended_at = monotonic()
        self.intake = Intake(core, home, self._attempt_ended)
        core.workers = self
        for worker in core.state.workers.values():  # a former engine's: they dial in, or are found dead
            self.workers[worker.id] = WorkerLink(
                worker.id, worker.env_id, silent_since=self._time(), greeted=bool(worker.pid)
            )
            self._spawning.expect(worker.env_id)

    # ---- what the core asks for ----------------------------------------------------------------------------------

    def start(self, worker_id: str, env_id: str, attempt: m.StartAttempt) -> None:
        run = self._core.state.runs.get(attempt.run_id)
        if run is None or run.fence != attempt.fence:
            self._core.unsent.discard(attempt.fence)
            return  # overtaken: the worker is gone already
        if run.stop_reason is not None:  # while its payload was read: the word to stop may have gone out before
            self._take(c.TakeReport(run.id, run.fence, m.Stopped(finished_at=self._core.clock.now())))
            return
        link = self.workers.get(worker_id)
        if link is None:
            link = self.workers[worker_id] = WorkerLink(worker_id, env_id, silent_since=self._time())
            self._spawning.spawn(link)
        if link.channel is not None and link.exited is None:
            self._send_attempt(link.channel, attempt)
        else:
            link.waiting[attempt.run_id] = attempt

    def _send_attempt(self, channel: Channel, attempt: m.StartAttempt) -> None:
        channel.send(attempt)
        self._core.unsent.discard(attempt.fence)
        catch_up(self._core, attempt)

    def stop(self, worker_id: str, attempt: m.StopAttempt) -> None:
        link = self.workers.get(worker_id)
        run = self._core.state.runs.get(attempt.run_id)
        if link is None or run is None or run.fence != attempt.fence:
            return  # its code has stopped, or never began
        if attempt.run_id in link.waiting:
            del link.waiting[attempt.run_id]
            now = self._core.clock.now()
            self._take(c.TakeReport(attempt.run_id, attempt.fence, m.Stopped(finished_at=now)))
            return
        link.kills[attempt.run_id] = self._time() + attempt.signal_s + self._settings.cancel_grace
        if link.channel is not None:
            link.channel.send(attempt)

    def tell(self, worker_id: str, results: m.WaitsOver) -> None:
        link = self.workers.get(worker_id)
        run = self._core.state.runs.get(results.run_id)
        if link is None or link.channel is None or run is None or run.fence != results.fence or run.suspended_at:
            return  # it is told when it dials in, or goes on elsewhere
        link.channel.send(results)

    def let_go(self, worker_id: str) -> None:
        link = self.workers.get(worker_id)
        if link is not None and self._spawning.kill(link):
            link.killed_for = "its run waits and needs no process"

    # ---- keepers ---------------------------------------------------------------------------------------------------

    def keeper_hello(self, channel: Channel, hello: m.Hello) -> None:
        self._spawning.connected(hello.env_id, channel)
        held = set(hello.workers)
        for link in [link for link in self.workers.values() if link.env_id == hello.env_id]:
            if link.channel is not None:
                continue
            known = self._core.state.workers.get(link.id)
            if link.id in held:
                if known is not None and not known.pid:  # spawned for a former engine; it may still be starting
                    self._spawning.await_start(link)
                continue
            if known is not None and known.pid and not is_alive(known.pid, known.started_at):
                self._gone(link, "its process had ended")
            elif known is None or not known.pid:  # planned, and this keeper has not spawned it
                self._spawning.ask(link)
        for worker_id in held - self.workers.keys():
            channel.send(m.KillWorker(worker_id))  # no engine knows it

    def keeper_message(self, env_id: str, message: m.AnyMessage) -> None:
        match message:
            case m.WorkerSpawned():
                self._take(c.WorkerAppeared(message.worker_id, message.pid, message.started_at, boot_id()))
            case m.SpawnFailed():
                self._never_began(message.worker_id, message.reason)
            case m.WorkerExited():
                link = self.workers.get(message.worker_id)
                if link is None:
                    return
                link.exited = message
                if link.channel is None:  # else its last reports may still be under way: wait for the end of the stream
                    self._exited(link, message)
            case _:
                logger.warning("unexpected from keeper", extra={"env_id": env_id, "message": type(message).__name__})

    def keeper_closed(self, env_id: str, channel: Channel) -> None:
        self._spawning.closed(env_id, channel)

    # ---- workers ---------------------------------------------------------------------------------------------------

    def worker_hello(self, channel: Channel, hello: m.Hello) -> None:
        worker = self._core.state.workers.get(hello.name)
        if worker is None:
            channel.send(m.Retire())  # nobody expects it any more
            for attempt in hello.live:
                channel.send(m.StopAttempt(attempt.run_id, attempt.fence, "this run is no longer here", signal_s=0))
            return
        link = self.workers.setdefault(worker.id, WorkerLink(worker.id, worker.env_id))
        if link.channel is not None:
            link.channel.close()
        link.channel = channel
        link.silent_since = 0.0
        link.pinged_at = link.ponged_at = 0.0
        link.idle_since = self._time()
        if worker.pid != hello.pid:
            self._take(c.WorkerAppeared(worker.id, hello.pid, hello.started_at, hello.boot_id))
        self._spawning.arrived(link)
        self._reconcile(link, hello)
        link.greeted = True
        for start in link.waiting.values():
            self._send_attempt(channel, start)
        link.waiting.clear()
        if worker.retired:
            channel.send(m.Retire())  # the first may have been lost with the former connection

    def _reconcile(self, link: WorkerLink, hello: m.Hello) -> None:
        """Attempts the worker has and we do not are stopped; those we have and it never got go back to their queue."""
        assert link.channel is not None, "it has just said hello"
        state = self._core.state
        held = {attempt.run_id: attempt.fence for attempt in hello.live}
        for run_id, fence in held.items():
            run = state.runs.get(run_id)
            if run is None or run.fence != fence:
                link.channel.send(m.StopAttempt(run_id, fence, "another attempt took its place", signal_s=0))
            elif run.stop_reason is not None:
                self.stop(link.id, stop_order(self._core, run))
            elif run.done and not run.suspended_at:  # it may not have been told, and does not mind being told twice
                tell_results(self._core, run, tuple(run.done))
        for run_id in list(state.by_worker.get(link.id, ())):
            fence = state.runs[run_id].fence  # it may still hold an earlier attempt of the same run, without an ack
            if held.get(run_id) != fence and run_id not in link.waiting:
                self._take(c.AttemptNeverArrived(run_id, fence))

    def worker_message(self, worker_id: str, channel: Channel, message: m.AnyMessage) -> None:
        link = self.workers.get(worker_id)
        match message:
            case m.Report():
                self.intake.take(worker_id, channel, message)
            case m.Pong():
                if link is not None:
                    link.ponged_at = self._time()
            case _:
                logger.warning("unexpected from worker", extra={"worker": worker_id, "got": type(message).__name__})

    def _attempt_ended(self, worker_id: str, run_id: str) -> None:
        link = self.workers.get(worker_id)
        if link is not None:
            link.kills.pop(run_id, None)
            link.idle_since = self._time()

    def worker_closed(self, worker_id: str, channel: Channel) -> None:
        link = self.workers.get(worker_id)
        self.intake.forget(channel)
        if link is None or link.channel is not channel:
            return
        link.channel = None
        link.silent_since = self._time()
        if link.exited is not None:
            self._exited(link, link.exited)

    # ---- ends ------------------------------------------------------------------------------------------------------

    def _exited(self, link: WorkerLink, exited: m.WorkerExited) -> None:
        self.intake.finish(link.id)
        self._forget(link)
        undelivered = self._undelivered(link)
        unbegun = self._unbegun(link, exited.begun) - undelivered
        sharing = len(self._core.state.by_worker.get(link.id, ())) - len(undelivered | unbegun)
        self._take(
            ended_worker(
                exited,
                killed_for=link.killed_for,
                undelivered=undelivered,
                unbegun=unbegun,
                began=link.greeted,
                sharing=max(1, sharing),
            )
        )

    def _gone(self, link: WorkerLink, why: str) -> None:
        self.intake.finish(link.id)
        self._forget(link)
        self._spawning.kill_sometime(link)
        words = f"The worker {link.id} that ran this attempt was lost: {why}."
        self._take(c.WorkerEnded(link.id, lost_worker_error(words), undelivered=self._undelivered(link)))

    def _undelivered(self, link: WorkerLink) -> frozenset[str]:
        """Runs whose attempts it was never sent, be it that their commit is still under way."""
        runs = self._core.state.runs
        held = self._core.state.by_worker.get(link.id, ())
        found = frozenset(run_id for run_id in held if runs[run_id].fence in self._core.unsent)
        self._core.unsent.difference_update(runs[run_id].fence for run_id in found)
        return found

    def _unbegun(self, link: WorkerLink, begun: tuple[str, ...] | None) -> frozenset[str]:
        """Runs whose attempts it had, and no code of theirs was executed."""
        if begun is None:
            return frozenset()
        noted = set(begun)
        runs = (self._core.state.runs[run_id] for run_id in self._core.state.by_worker.get(link.id, ()))
        return frozenset(run.id for run in runs if not run.attempt_started_at and run.fence not in noted)

    def _never_began(self, worker_id: str, reason: str) -> None:
        link = self.workers.get(worker_id)
        if link is not None:
            self._forget(link)
        logger.warning("worker did not start", extra={"worker": worker_id, "reason": reason})
        self._take(c.WorkerNeverBegan(worker_id, reason))

    def _forget(self, link: WorkerLink) -> None:
        self._core.worker_notices.pop(link.id, None)
        self.workers.pop(link.id, None)
        self._spawning.arrived(link)

    def _take(self, command: c.Command) -> None:
        try:
            self._core.take(command)
        except KernelKitError as refusal:
            logger.info("not taken", extra={"command": type(command).__name__, "reason": str(refusal)})

    # ---- the passing of time ---------------------------------------------------------------------------------------

    def tend(self) -> None:
        """Called about once a second: lost workers, overdue starts, deaf bodies, idle processes, blocked loops."""
        now = self._time()
        stood_still = now - self._tended_at if now - self._tended_at > STOOD_STILL_S else 0.0
        self._tended_at = now
        self._spawning.tend(now)
        for link in list(self.workers.values()):
            if link.channel is None:
                self._tend_silent(link, now)
            else:
                if stood_still and link.pinged_at > link.ponged_at:  # nobody could have heard its answer
                    link.pinged_at += stood_still
                    link.watched = None
                self._tend_connected(link, link.channel, now)

    def _tend_silent(self, link: WorkerLink, now: float) -> None:
        worker = self._core.state.workers.get(link.id)
        if worker is None:
            self._forget(link)
            return
        connected = self._spawning.is_connected(link.env_id)
        if not worker.pid:
            if not connected and not self._spawning.is_asked(link) and now - link.silent_since > DIAL_IN_S:
                self._spawning.spawn(link)  # planned by a former engine, whose keeper has not come back
            return
        if worker.boot_id != boot_id() or not is_alive(worker.pid, worker.started_at):
            if not connected or now - link.silent_since > SPAWN_WITHIN_S:  # else the keeper will say how it ended
                self._gone(link, "its process ended")
        elif now - link.silent_since > self._settings.adopt_within and connected:
            self._kill(link, f"it had not dialled in for {self._settings.adopt_within:.0f} s")

    def _tend_connected(self, link: WorkerLink, channel: Channel, now: float) -> None:
        attempts = self._core.state.by_worker.get(link.id, ())
        worker = self._core.state.workers.get(link.id)
        if attempts:
            is_shared = worker is None or worker.isolation == "shared"
            notice_silence(self._core, link, len(attempts), now, is_shared=is_shared)
            if link.ponged_at >= link.pinged_at:
                link.pinged_at = now
                channel.send(m.Ping())
        elif worker is not None and not worker.retired:
            limit = IDLE_EXCLUSIVE_S if worker.isolation == "process" else self._settings.idle_stop
            if now - link.idle_since > limit:
                self._take(c.RetireWorker(link.id))
                channel.send(m.Retire())
        overdue = any(now > deadline and run_id in attempts for run_id, deadline in link.kills.items())
        if overdue:
            self._kill(link, "another attempt in the same process did not stop when it was canceled")
        elif attempts and worker is not None and (why := stalled(link, worker, self._settings.stalled_after, now)):
            self._kill(link, why)

    def _kill(self, link: WorkerLink, why: str) -> None:
        """Have its keeper kill it, once."""
        if not link.killed_for and self._spawning.kill(link):
            link.killed_for = why

    def silent_for(self, worker_id: str) -> float:
        """How long a connected worker's loop has not answered: over 2 s it is blocked by a body."""
        link = self.workers.get(worker_id)
        return 0.0 if link is None else link.silent_for(self._time())

    def shut_down(self, *, leave: bool) -> None:
        """The engine is stopping: keepers end their workers, unless attempts are left to them."""
        self._spawning.shut_down(leave=leave)
