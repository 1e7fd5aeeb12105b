"""One simulated history: an engine, its disk, workers, clients, a clock, and everything that can go wrong with them.

All chance comes from the seed, so a seed is a reproducible bug. A history is a number of random acts, then quiet: no
new work and no more trouble, until every run has ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Literal

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.decide import Change, next_due
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.machine import GIB
from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from tests.simulation import laws, sameness_laws, schedules, standing_laws, streaming, waiting
from tests.simulation.batch_laws import BATCH_LAWS
from tests.simulation.book import Book
from tests.simulation.bulk_laws import BULK_LAWS
from tests.simulation.chance import Dice
from tests.simulation.client import Client, random_item, random_key_of
from tests.simulation.disk import Disk
from tests.simulation.facts import Facts, worth_noting
from tests.simulation.host import Host
from tests.simulation.loss_laws import LOSS_LAWS
from tests.simulation.pending_laws import PENDING_LAWS
from tests.simulation.specs import random_spec
from tests.simulation.wait_laws import WAIT_LAWS
from tests.simulation.worker import Body, SimWorker

EVENT_LAWS = (
    laws.EVENT_LAWS,
    BATCH_LAWS,
    PENDING_LAWS,
    BULK_LAWS,
    WAIT_LAWS,
    LOSS_LAWS,
    streaming.STREAM_LAWS,
    sameness_laws.EVENT_LAWS,
    schedules.EVENT_LAWS,
)
START = 1_800_000_000_000_000
SECOND = 1_000_000
ACTS = 560
QUIET_TURNS = 4_000


class World:
    """Everything of one history, and its acts."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.seed = seed
        self.now = START
        self.dice = Dice(self.random)
        self.facts = Facts()
        self.disk = Disk()
        self.book = Book()
        self.capacity = self._any_capacity()
        self.orders: deque[str] = deque()  # workers the keepers are to spawn
        self.processes: dict[str, SimWorker] = {}  # living, and dead ones whose end the engine has not seen
        self.orphans: dict[str, list[m.Report]] = {}  # by worker: written down when no engine was found
        self.living: dict[str, str] = {}  # fences whose code runs, and of which run
        self.begun: set[str] = set()  # fences whose code was executed, if only its first line
        self.outcomes: dict[str, str] = {}  # how the body of each fence really ended
        self.must_be_canceled: set[str] = set()
        self.acknowledged: set[str] = set()
        self.asked: dict[str, m.TriggerItem] = {}  # by run: what its trigger said
        self.step_events: list[ev.AnyEvent] = []  # of the command being carried out, judged so far
        # by run: the attempt (run, fence) that started the process which triggered it
        self.process_of: dict[str, tuple[str, str]] = {}
        self.suspended: set[str] = set()  # fences of bodies that have asked to be suspended
        self.last_ops: dict[tuple[str, int], m.ReportBody] = {}  # by run and attempt
        self.quiet = False
        self._ids = 0
        self._started: set[str] = set()
        self._judged = 0
        self.host = Host(self)
        self.clients = [Client(self, "a"), Client(self, "b")]
        self._acts, self._weights = self._table()

    # ---- running -------------------------------------------------------------------------------------------------

    def run(self) -> Facts:
        """The whole history; raises `BrokenLaw`."""
        for _ in range(3):
            self.clients[0].define()
        for act in self.random.choices(self._acts, self._weights, k=ACTS):
            act()
            if self.random.random() < 0.55:
                self.host.commit()
        self._quieten()
        return self.facts

    def _table(self) -> tuple[list[Callable[[], None]], list[float]]:
        table: list[tuple[Callable[[], None], float]] = [
            (lambda: self._client().define(), 2.0),
            (lambda: self._client().trigger(1), 9.0),
            (lambda: self._client().trigger(self.random.randint(2, 6)), 2.0),
            (lambda: self._client().resend(), 3.0),
            (lambda: self._client().cancel(), 2.5),
            (lambda: self._client().reschedule(), 2.0),
            (lambda: self._client().retry_now(), 1.0),
            (lambda: waiting.client_acts(self), 5.0),
            (lambda: streaming.client_appends(self._client()), 1.5),
            (lambda: self._client().reset_key(), 1.0),
            (lambda: self._client().start_bulk(), 0.8),
            (lambda: self._client().abort_bulk(), 0.3),
            (self._bulk_advances, 4.0),
            (lambda: schedules.save(self), 3.0),
            (lambda: schedules.switch(self), 1.0),
            (lambda: schedules.delete(self), 0.5),
            (lambda: schedules.run_now(self), 0.7),
            (lambda: self._client().pause(), 2.0),
            (lambda: self._client().override(), 1.2),
            (self._keeper_acts, 14.0),
            (self._worker_dials, 10.0),
            (self._deliver_some, 40.0),
            (self._body_acts, 45.0),
            (self._time_passes, 12.0),
            (self._clock_jumps, 0.7),
            (self._clock_is_wrong_for_a_while, 0.5),
            (self._report_comes_twice, 2.0),
            (self._connection_breaks, 1.5),
            (self._worker_dies, 1.8),
            (self._orphans_are_written, 0.7),
            (self._exit_is_seen, 4.0),
            (self._find_the_lost, 2.0),
            (self._start_is_overdue, 0.7),
            (self._worker_retires, 1.0),
            (self._stale_report, 1.0),
            (self._engine_crashes, 1.6),
            (self._snapshot, 1.5),
        ]
        return [act for act, _ in table], [weight for _, weight in table]

    def _client(self) -> Client:
        return self.random.choice(self.clients)

    def _quieten(self) -> None:
        self.quiet = True
        self.clients[0].calm()
        for _ in range(QUIET_TURNS):
            if not self._quiet_turn():
                break
        self._judge(standing_laws.AT_THE_END)

    def _quiet_turn(self) -> bool:
        """Let everything that is under way arrive; False when nothing is left to do."""
        schedules.turn_all_off(self)
        self.host.commit()
        for client in self.clients:
            while client.unanswered:
                client.resend()
                self.host.commit()
        for task_id in sorted(self.host.state.undefined):
            self.host.take(c.DefineTask(random_spec(self.random, task_id)))
        while any(not bulk.is_completed for bulk in self.host.state.bulks.values()):
            self._bulk_advances()
        waiting.complete_all(self)
        while self.orders:
            self._spawn(self.orders.popleft(), fails=False)
        for worker in list(self.processes.values()):
            if not worker.alive:
                self._see_exit(worker)
            elif worker.pipe is None:
                self._dial(worker)
        self._find_the_lost()
        for worker in list(self.processes.values()):
            for body in worker.running():
                if body.stopping:
                    worker.stop(body)
                elif not body.suspended:
                    worker.succeed(body)
            self._deliver(worker, 10_000)
        self.host.commit()
        due = next_due(self.host.state)
        if due is not None:
            self.now = max(self.now, due)
            self.host.tick()
        self.host.commit()
        under_way = any(
            worker.unacked or worker.running() or (worker.pipe is not None and worker.pipe.to_worker)
            for worker in self.processes.values()
        )
        return bool(self.host.state.runs) or under_way

    # ---- told by the others --------------------------------------------------------------------------------------

    def told(self, change: Change) -> None:
        """One more event: judged, then written in the book and on the disk."""
        event = change.event
        if isinstance(event, ev.RunTriggered) and event.schedule_id:  # asks for nothing but the task
            self.asked[event.run_id] = m.TriggerItem(event.run_id, event.task_id, event.payload)
        for law in [law for table in EVENT_LAWS for law in table.get(type(event), ())]:
            law(self, event)
        self.step_events.append(event)
        if isinstance(event, ev.RunCanceled):
            self.must_be_canceled |= self.book.runs[event.run_id].children
        for what in (*worth_noting(event, self.book, self.outcomes), *schedules.worth_noting(event, self.book)):
            self.facts.note(what)
        self.book.write(event)
        self.disk.write(event)
        self.facts.events += 1
        self.facts.note(type(event).__name__)

    def acknowledge(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            if run_id not in self.disk.runs:
                raise laws.BrokenLaw("nothing_is_acknowledged_before_it_is_on_disk", run_id)
            self.acknowledged.add(run_id)

    def body_starts(self, worker: SimWorker, start: m.StartAttempt) -> None:
        if start.fence in self._started:
            raise laws.BrokenLaw("a_fence_starts_one_body", f"{start.fence} again on {worker.id}")
        executing = {fence for fence, run_id in self.living.items() if run_id == start.run_id} - self.suspended
        if executing:
            raise laws.BrokenLaw("a_run_has_one_body_at_a_time", f"{start.run_id} on {worker.id}")
        if start.run_id not in self.disk.runs:
            raise laws.BrokenLaw("no_code_runs_before_its_run_is_on_disk", start.run_id)
        self._started.add(start.fence)
        self.living[start.fence] = start.run_id

    def body_goes_on(self, worker: SimWorker, body: Body) -> None:
        """A body is called again, and comes to what it had done before."""
        if body.again and self.random.random() < 0.8:
            worker.begin(body)
            while body.again:
                streaming.appends_again(self, worker, body)

    def body_ended(self, fence: str, outcome: str) -> None:
        del self.living[fence]
        self.outcomes[fence] = outcome

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids:05}"

    def _judge(self, articles: Iterable[Callable[[World, State], None]]) -> None:
        for law in articles:
            law(self, self.host.state)

    # ---- acts: keepers and processes -----------------------------------------------------------------------------

    def _keeper_acts(self) -> None:
        if self.orders:
            self._spawn(self.orders.popleft(), fails=self.random.random() < 0.12)

    def _spawn(self, worker_id: str, *, fails: bool) -> None:
        link = self.host.links.get(worker_id)
        if link is None or worker_id in self.processes:
            return
        if fails:
            self.facts.note("spawn failure")
            self.host.never_began(worker_id, blames_worker=True)
            return
        self._ids += 1
        worker = SimWorker(self, worker_id, link.env_id, link.isolation, pid=self._ids)
        self.processes[worker_id] = worker
        if self.random.random() < 0.8:  # else its hello is quicker than the keeper's word
            self.host.take(c.WorkerAppeared(worker_id, worker.pid, 0.0, "boot"))

    def _worker_dials(self) -> None:
        away = [worker for worker in self.processes.values() if worker.alive and worker.pipe is None]
        if away:
            self._dial(self.random.choice(away))

    def _dial(self, worker: SimWorker) -> None:
        if worker.unacked:
            self.facts.note("reports sent again")
        self.host.hello(worker)

    def _start_is_overdue(self) -> None:
        """A worker takes too long to dial in; its process, if there is one, may still do so later."""
        pending = [link.id for link in self.host.links.values() if link.pipe is None and link.waiting]
        pending = [i for i in pending if i not in self.processes or not self.processes[i].bodies]
        # One that had begun an attempt has dialled in before: its end is seen, by whichever engine is there by then.
        held, runs = self.host.state.by_worker, self.host.state.runs
        pending = [i for i in pending if not any(runs[run_id].attempt_started_at for run_id in held.get(i, ()))]
        if pending:
            self.facts.note("start overdue")
            self.host.never_began(self.random.choice(pending), blames_worker=True)

    def _worker_dies(self) -> None:
        alive = [worker for worker in self.processes.values() if worker.alive]
        if alive:
            # Deaf to its stop it is killed for it, and asleep it is what makes room: these go more often than the rest.
            late = [one for one in alive if any(self.book.runs[body.run_id].timed_out for body in one.running())]
            asleep = [one for one in alive if any(body.suspended for body in one.bodies.values())]
            self._kill(self.random.choice(self.random.choice((late, asleep, alive)) or alive))

    def _kill(self, worker: SimWorker) -> None:
        if worker.running():
            self.facts.note("worker lost mid-run")
        worker.die()
        if worker.pipe is not None:
            self.host.cut(worker, self.random.randint(0, len(worker.pipe.to_engine)))

    def _exit_is_seen(self) -> None:
        dead = [worker for worker in self.processes.values() if not worker.alive]
        if dead:
            self._see_exit(self.random.choice(dead))

    def _see_exit(self, worker: SimWorker) -> None:
        del self.processes[worker.id]
        self.host.exited(worker.id, worker.noted, out_of_memory=not self.quiet and self.random.random() < 0.15)

    def _orphans_are_written(self) -> None:
        """A worker that finds no engine writes its last reports down, and is lost before it finds one."""
        for worker in self.processes.values():
            if worker.alive and worker.pipe is None and worker.unacked and not worker.running():
                self.orphans[worker.id] = list(worker.unacked)
                worker.die()
                return

    def _worker_retires(self) -> None:
        busy = self.host.state.by_worker
        idle = [i for i, worker in self.host.state.workers.items() if i not in busy and not worker.retired]
        if idle:
            self.host.retire(self.random.choice(idle))

    def _find_the_lost(self) -> None:
        """As the fleet looks after workers that no keeper speaks of."""
        for worker_id, worker in list(self.host.state.workers.items()):
            if worker_id in self.processes or worker_id in self.orders:
                continue
            if worker.pid:
                self.host.exited(worker_id, None, out_of_memory=False)
            else:
                self.host.never_began(worker_id, blames_worker=False)

    def let_go(self, worker_id: str) -> None:
        """The engine ends a process whose suspended attempt has left it."""
        self.facts.note("process let go")
        worker = self.processes.get(worker_id)
        if worker is not None and worker.alive:
            self._kill(worker)

    # ---- acts: connections and bodies ----------------------------------------------------------------------------

    def _deliver_some(self) -> None:
        linked = [worker for worker in self.processes.values() if worker.pipe is not None]
        if linked:
            self._deliver(self.random.choice(linked), self.random.randint(1, 5))

    def _deliver(self, worker: SimWorker, count: int) -> None:
        """Up to `count` messages each way."""
        pipe = worker.pipe
        for _ in range(count):
            if pipe is None or pipe.broken or not (pipe.to_worker or pipe.to_engine):
                break
            if pipe.to_worker:
                worker.receive(pipe.to_worker.popleft())
            if pipe.to_engine:
                self.host.report(worker.id, pipe.to_engine.popleft(), pipe)
        if worker.retired and not worker.bodies and not worker.unacked and worker.alive:
            self._kill(worker)

    def _connection_breaks(self) -> None:
        linked = [worker for worker in self.processes.values() if worker.pipe is not None]
        if linked:
            worker = self.random.choice(linked)
            assert worker.pipe is not None
            self.facts.note("connection lost")
            for _ in range(self.random.randint(0, len(worker.pipe.to_worker))):
                worker.receive(worker.pipe.to_worker.popleft())
            self.host.cut(worker, self.random.randint(0, len(worker.pipe.to_engine)))

    def _report_comes_twice(self) -> None:
        linked = [worker for worker in self.processes.values() if worker.pipe is not None and worker.unacked]
        if linked:
            worker = self.random.choice(linked)
            assert worker.pipe is not None
            self.facts.note("report twice")
            worker.pipe.to_engine.append(self.random.choice(worker.unacked))

    def _stale_report(self) -> None:
        """A body that nobody counts any more speaks of a run that lives on."""
        runs = list(self.host.state.runs)
        if runs:
            fence = self.random.choice(sorted(self.book.fences)) if self.book.fences else "f?"
            run_id = self.random.choice(runs)
            if self.host.state.runs[run_id].fence != fence:
                body = m.Succeeded(Value(text=f'"{fence}"', size=len(fence) + 2), self.now, self.now)
                self.host.try_take(c.TakeReport(run_id, fence, body))

    def _body_acts(self) -> None:
        pairs = [(worker, body) for worker in self.processes.values() for body in worker.running()]
        if pairs:
            self._act(*self.random.choice(pairs))

    def _act(self, worker: SimWorker, body: Body) -> None:
        chance = self.random.random()
        if body.stopping and chance < 0.8:
            worker.stop(body)
        elif body.suspended or (body.began and self.random.random() < 0.28):
            waiting.body_acts(self, worker, body)
        elif not body.began and chance < 0.9:
            worker.begin(body)
        elif chance < 0.22:
            worker.succeed(body)
        elif chance < 0.40:
            worker.fail(body, retry=self.random.random() < 0.85, out_of_memory=self.random.random() < 0.05)
        elif chance < 0.52:
            worker.operate(body, m.AddTags(self.random.choice((("hot",), ("cold", "wet"))), f"tags:{body.ops}"))
        elif chance < 0.67:
            change = m.MetadataOp(kind="increment", key="n", value="1")
            target: Literal["self", "parent", "root"] = self.random.choice(("self", "parent", "parent", "root"))
            if target != "self" and self.book.runs[body.run_id].parent is not None:
                self.facts.note("metadata of another run")
            worker.operate(body, m.ChangeMetadata((change,), f"increment-{target}:{body.ops}", target))
        elif chance < 0.69:
            worker.operate(body, m.ResetKey(*random_key_of(self), op=f"reset:{body.ops}"))
        elif chance < 0.80:
            items = tuple(random_item(self) for _ in range(self.random.randint(1, 2)))
            batch_id = self.new_id("batch") if len(items) > 1 else ""
            worker.operate(body, m.ChildTrigger(items, f"trigger:{body.ops}", batch_id))
        else:
            worker.repeat_op(body)
            self.facts.note("op sent again")

    # ---- acts: time and the engine -------------------------------------------------------------------------------

    def _time_passes(self) -> None:
        self.now += round(self.random.choice((0.05, 0.5, 1.0, 3.0, 20.0)) * SECOND)
        self.host.tick()

    def _clock_jumps(self) -> None:
        hours = self.random.choice((-26, -1, -0.02, 0.05, 1, 26))
        self.facts.note("clock forward" if hours > 0 else "clock back")
        self.now += round(hours * 3_600) * SECOND
        self.host.take(c.Tick())

    def _clock_is_wrong_for_a_while(self) -> None:
        """It shows another hour until somebody sets it right; slots of schedules come in both times."""
        hours = self.random.choice((-1, 1))
        for jump in (hours, -hours):
            self.now += jump * 3_600 * SECOND
            self.host.take(c.Tick())
            for _ in range(self.random.randint(0, 3)):
                self.now += 25 * SECOND
                self.host.tick()

    def _snapshot(self) -> None:
        self.host.commit()
        self._judge(standing_laws.NOW_AND_THEN)
        self.disk.keep_snapshot(self.host.state)

    def _bulk_advances(self) -> None:
        """The engine's own work at a bulk action: its next few runs, some of which may have moved on since."""
        bulks = [bulk for bulk in self.host.state.bulks.values() if not bulk.is_completed]
        if not bulks:
            return
        bulk = self.random.choice(bulks)
        older = [run_id for run_id in self.book.runs if not bulk.cursor or run_id < bulk.cursor]
        meant = [run_id for run_id in older if self.book.runs[run_id].ended or self.random.random() < 0.8]
        chunk = tuple(sorted(meant, reverse=True)[:4])
        items = tuple(self._replay() for _ in (chunk if bulk.kind == "REPLAY" and not self.quiet else ()))
        self.host.take(c.AdvanceBulk(bulk.id, chunk, items, is_last=len(meant) <= 4 or self.random.random() < 0.2))

    def _replay(self) -> m.TriggerItem:
        """Some run's trigger, as the engine makes it again."""
        item = replace(random_item(self), key=None, debounce=None, is_replay=True)
        self.asked[item.run_id] = item
        return item

    def _engine_crashes(self) -> None:
        """What was not committed is gone, and so are messages under way; workers and keepers go on."""
        self.facts.note("crash")
        if self.disk.pending:
            self.facts.note("crash with uncommitted events")
        self.disk.crash()
        self.host.after.clear()
        for worker in self.processes.values():
            pipe = worker.pipe
            if pipe is None:
                continue
            for _ in range(self.random.randint(0, len(pipe.to_worker))):
                worker.receive(pipe.to_worker.popleft())
            pipe.broken = True
            worker.pipe = None
        for _ in range(self.random.randint(0, len(self.orders))):
            self.orders.pop()
        self.book = Book.of(self.disk.committed())
        if self.random.random() < 0.2:
            self.capacity = self._any_capacity()
        self.host = Host(self)
        self.host.take(c.Tick())
        self._judge((*standing_laws.NOW_AND_THEN, standing_laws.the_log_folds_to_the_state))
        for worker_id, known in list(self.host.state.workers.items()):
            # The keeper says hello: what was to be spawned and is not there is asked for again.
            if not known.pid and worker_id not in self.processes and worker_id not in self.orders:
                self.orders.append(worker_id)

    def _any_capacity(self) -> c.Capacity:
        pick = self.random.choice
        return c.Capacity(
            attempts=pick((2, 3, 5, 8)),
            exclusive=pick((1, 2, 4)),
            shared_workers=pick((1, 1, 2)),
            cpu=pick((2.0, 4.0)),
            memory=pick((2, 3, 8)) * GIB,
            held=pick((0, 1, 3)),
            queue_size=pick((None, None, None, 4, 8)),
        )
