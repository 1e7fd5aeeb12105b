"""Everything the engine knows about what is not yet over. Held in memory; `engine/apply.py` alone changes it.

The fields of `State` are the fold of the log. What `State.reindex` makes is an index over them, made again when a
snapshot is loaded; limits are always read off the sets of holders, never a counter.
"""

from __future__ import annotations

import heapq

from kernelkit.engine import snapshot
from kernelkit.engine.liverun import EMPTY, LiveRun, Order, slots_of
from kernelkit.engine.liveworker import Worker
from kernelkit.engine.queues import QueueRecord
from kernelkit.engine.turns import Kind, Turns
from kernelkit.engine.waiting import Waiting
from kernelkit.models.bulk import Bulk
from kernelkit.models.run import RunStatus
from kernelkit.models.sameness import Answer, HeldKey
from kernelkit.models.schedule import Schedule
from kernelkit.models.task import TaskVersion
from kernelkit.models.wait import Token

Lane = tuple[str, Kind]
"""Runs of one slot group that need one kind of worker; the one with the lowest order goes first."""


class State:
    """The live runs, the tasks, the workers, and indexes over them."""

    def __init__(self) -> None:
        self.seq = 0
        self.clock = 0  # the latest moment of any event: goes on when the machine's clock is set back
        self.runs: dict[str, LiveRun] = {}
        self.tasks: dict[str, TaskVersion] = {}  # the latest of each id
        self.bundles: dict[str, TaskVersion] = {}  # what each bundle that may still be asked for belongs to
        self.numbers: dict[str, list[str]] = {}  # version numbers of each task, oldest first
        self.workers: dict[str, Worker] = {}
        self.bulks: dict[str, Bulk] = {}  # bulk actions: those under way, and the last that have ended
        self.keys: dict[bytes, HeldKey] = {}  # idempotency keys, by `digest_of` task and hash
        self.sweep_keys_at = 1_000  # so many of them: then those whose time is over are dropped
        self.answers: dict[str, Answer] = {}  # to the latest requests that made no run of their own, by their names
        self.schedules: dict[str, Schedule] = {}
        self.tokens: dict[str, Token] = {}  # open ones, and the newest of those that are not
        self.aliases: dict[str, str] = {}  # ids of tokens that had been made before, under the same key
        self.queues: dict[str, QueueRecord] = {}  # those for which something is set
        self.paused = False  # the whole project: nothing starts
        # The event since which each queue, or copy of it for a key, with queued runs waits for its turn: the one that
        # served it last, or the one that brought the first of them.
        self.since: dict[str, int] = {}
        self.reindex()

    def reindex(self) -> None:
        """Make every index anew from the fields above."""
        self.holders: set[str] = set()
        self.exclusive: set[str] = set()  # the holders that need a worker of their own
        self.by_queue: dict[str, set[str]] = {}
        self.by_worker: dict[str, set[str]] = {}
        self.by_parent: dict[str, set[str]] = {}
        self.by_env: dict[str, set[str]] = {}
        self.undefined: dict[str, set[str]] = {}  # runs that wait for a task of that id to be defined
        self.lanes: dict[str, dict[Kind, list[tuple[Order, str]]]] = {}  # by slot group; see `Lane`
        self.queued: dict[str, dict[str, set[str]]] = {}  # runs with status QUEUED by queue and concurrency key
        self.turns = Turns(self)
        self.kept: dict[str, None] = {}  # runs that kept their slot over a backoff which is over
        self.due: list[tuple[int, str]] = []
        self.debounced: dict[tuple[str, str], str] = {}  # by task and debounce key: the delayed run that takes pushes
        self.slots: list[tuple[int, str]] = []  # what active schedules wait for
        self.schedule_keys: dict[str, str] = {}  # deduplication key → id
        self.own_schedules: dict[str, str] = {}  # task id → id of the schedule that its definition asks for
        for schedule in self.schedules.values():
            self.index_schedule(schedule)
        self.held: dict[str, None] = {}  # suspended runs with a process of their own, longest first
        self.waiting = Waiting()
        for token in self.tokens.values():
            self.add_token(token)
        for worker in self.workers.values():
            self.by_env.setdefault(worker.env_id, set()).add(worker.id)
        for run in sorted(self.runs.values(), key=_suspended_first):
            if run.held_until and run.fence:
                self.held[run.id] = None
        for run in self.runs.values():
            if run.parent_id:
                self.by_parent.setdefault(run.parent_id, set()).add(run.id)
            if run.awaited is not None:
                self.undefined.setdefault(run.task_id, set()).add(run.id)
            for op, wait in run.waits.items():
                self.waiting.opened((run.id, op), wait, self)
            if run.holds_slot:
                self.hold(run)
            elif run.fence:
                self.by_worker.setdefault(run.worker_id, set()).add(run.id)
            if run.status is RunStatus.QUEUED:
                self.enqueue(run)
            if run.is_ready:
                self.line_up(run)
            if run.keeps_slot and not run.retry_at:
                self.kept[run.id] = None
            if run.takes_pushes:
                self.debounced[run.task_id, run.debounce] = run.id
            self.set_timer(run)

    # ---- indexes, kept by apply --------------------------------------------------------------------------------

    def line_up(self, run: LiveRun) -> None:
        """It waits for nothing but a slot."""
        slots = self.enqueue(run)
        heapq.heappush(self.lanes.setdefault(slots, {}).setdefault(run.kind, []), (run.order, run.id))
        self.turns.changed(run.queue, slots)

    def enqueue(self, run: LiveRun) -> str:
        """Its status is QUEUED; returns what its slot is counted under."""
        slots = run.slots
        self.queued.setdefault(run.queue, {}).setdefault(run.concurrency_key, set()).add(run.id)
        self.since.setdefault(slots, self.seq)
        return slots

    def dequeue(self, run: LiveRun) -> None:
        """Its status is no longer QUEUED; does nothing if it was not."""
        keys = self.queued.get(run.queue)
        members = None if keys is None else keys.get(run.concurrency_key)
        if keys is None or members is None:
            return
        members.discard(run.id)
        if members:
            return
        slots = run.slots
        del self.since[slots], keys[run.concurrency_key]
        if not keys:
            del self.queued[run.queue]
            self.turns.throttled.pop(run.queue, None)
        self.lanes.pop(slots, None)
        self.turns.leave(slots)

    def take_token(self, queue: str) -> None:
        """An attempt of one of its runs starts."""
        record = self.queues.get(queue)
        if record is not None:
            record.take_token(self.clock)

    def take_turn(self, run: LiveRun) -> None:
        """It leaves its queue for a slot: its copy is served."""
        self.dequeue(run)
        slots = run.slots
        if slots in self.since:
            self.since[slots] = self.seq

    def set_timer(self, run: LiveRun) -> None:
        self._set_timer(run.timer, run.id)

    def _set_timer(self, at: int, whose: str) -> None:
        if at:
            heapq.heappush(self.due, (at, whose))
        if len(self.due) > 2 * (len(self.runs) + len(self.tokens)) + 1_000:  # mostly of runs that ended long before
            timers = [(live.timer, live.id) for live in self.runs.values()]
            timers += [(token.timeout_at, token.id) for token in self.tokens.values() if token.is_open]
            self.due = [(at, whose) for at, whose in timers if at]
            heapq.heapify(self.due)

    def index_schedule(self, schedule: Schedule) -> None:
        if schedule.kind == "DECLARATIVE":
            self.own_schedules[schedule.task_id] = schedule.id
        if schedule.deduplication_key:
            self.schedule_keys[schedule.deduplication_key] = schedule.id
        self.set_slot(schedule)

    def set_slot(self, schedule: Schedule) -> None:
        if schedule.next_at:
            heapq.heappush(self.slots, (schedule.next_at, schedule.id))
        if len(self.slots) > 2 * len(self.schedules) + 1_000:
            self.slots = [(one.next_at, one.id) for one in self.schedules.values() if one.next_at]
            heapq.heapify(self.slots)

    def timer_of(self, whose: str) -> int:
        """The moment at which time alone changes something about a run or token; 0 = never."""
        run = self.runs.get(whose)
        if run is not None:
            return run.timer
        token = self.tokens.get(whose)
        return token.timeout_at if token is not None and token.is_open else 0

    def add_token(self, token: Token) -> None:
        self.waiting.made(token)
        if token.is_open:
            self._set_timer(token.timeout_at, token.id)

    def token(self, id_or_name: str) -> Token | None:
        """The token of that id, also one that was given away for a token made before, or of that name."""
        token_id = self.aliases.get(id_or_name, id_or_name)
        return self.tokens.get(token_id) or self.tokens.get(self.waiting.by_name.get(token_id, ""))

    def stop_waiting(self, run: LiveRun) -> None:
        """Nobody wants to know any more what its attempt waits for."""
        if not run.waits:
            return
        for op, wait in run.waits.items():
            self.waiting.closed((run.id, op), wait)
        run.waits = EMPTY

    def hold(self, run: LiveRun) -> None:
        slots = run.slots
        self.holders.add(run.id)
        if run.isolation == "process":
            self.exclusive.add(run.id)
        self.by_queue.setdefault(slots, set()).add(run.id)
        if run.fence:
            self.by_worker.setdefault(run.worker_id, set()).add(run.id)
        self.turns.changed(run.queue, slots)

    def release(self, run: LiveRun) -> None:
        self.give_slot_back(run)
        self.held.pop(run.id, None)
        _drop(self.by_worker, run.worker_id, run.id)

    def give_slot_back(self, run: LiveRun) -> None:
        """The attempt lives on in its worker, suspended."""
        slots = run.slots
        self.holders.discard(run.id)
        self.exclusive.discard(run.id)
        self.kept.pop(run.id, None)
        _drop(self.by_queue, slots, run.id)
        self.turns.changed(run.queue, slots)

    def forget(self, run: LiveRun) -> None:
        del self.runs[run.id]
        self.dequeue(run)
        if run.parent_id:
            _drop(self.by_parent, run.parent_id, run.id)
        if run.awaited is not None:
            self.drop_undefined(run)

    def drop_undefined(self, run: LiveRun) -> None:
        _drop(self.undefined, run.task_id, run.id)

    # ---- what limits are read off ------------------------------------------------------------------------------

    def holding(self, slots: str) -> int:
        """Slots in use of a queue, or of its copy for one concurrency key."""
        return len(self.by_queue.get(slots, ()))

    def limit_of(self, queue: str) -> int | None:
        """How many slots of the queue may be in use at once; every copy of it has the whole limit."""
        record = self.queues.get(queue)
        return None if record is None else record.current

    def is_full(self, queue: str, slots: str) -> bool:
        """Whether the queue, or this copy of it, has no slot free."""
        limit = self.limit_of(queue)
        return limit is not None and self.holding(slots) >= limit

    def is_paused(self, queue: str) -> bool:
        record = self.queues.get(queue)
        return record is not None and record.paused

    def may_start(self, queue: str, moment: int) -> bool:
        """Whether the queue as a whole lets an attempt start: it is not paused, and there is a token for it."""
        record = self.queues.get(queue)
        return record is None or (not record.paused and record.has_token(moment))

    def has_token(self, queue: str, moment: int) -> bool:
        record = self.queues.get(queue)
        return record is None or record.has_token(moment)

    def queued_of(self, queue: str) -> int:
        """Runs of the queue with status QUEUED."""
        return sum([len(members) for members in self.queued.get(queue, {}).values()])

    def executing_exclusive(self) -> int:
        """Exclusive attempts that hold a slot, over all environments."""
        return len(self.exclusive)

    def next_token_at(self) -> int | None:
        """The first moment at which somebody who stands aside for want of a token may go on."""
        if not self.turns.throttled and not self.kept:
            return None
        waiting = [*self.turns.throttled, *(self.runs[run_id].queue for run_id in self.kept)]
        moments = [
            record.next_token()
            for queue in waiting
            if (record := self.queues.get(queue)) is not None and record.rate and not record.has_token(self.clock)
        ]
        return min(moments, default=None)

    def record_of(self, queue: str) -> QueueRecord:
        """The record of a queue, made if there is none."""
        return self.queues.setdefault(queue, QueueRecord())

    def queue_changed(self, queue: str) -> None:
        """What is set for it has changed: its copies take part, or have another rank, from now on."""
        if self.queues.get(queue) == QueueRecord():
            del self.queues[queue]
        self.turns.throttled.pop(queue, None)
        for key in self.queued.get(queue, ()):
            self.turns.changed(queue, slots_of(queue, key))
        self.turns.offer_all(queue)

    def head(self, lane: Lane) -> LiveRun | None:
        """The first run of a lane that is still ready; entries that no longer are get dropped on the way."""
        slots, kind = lane
        lanes = self.lanes.get(slots, {})
        heap = lanes.get(kind)
        while heap:
            order, run_id = heap[0]
            run = self.runs.get(run_id)
            if run is not None and run.is_ready and run.order == order and run.slots == slots and run.kind == kind:
                return run
            heapq.heappop(heap)
        lanes.pop(kind, None)
        return None

    # ---- snapshots ---------------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """The state as bytes; `State.load` gives an equal one."""
        return snapshot.dump(self)

    @classmethod
    def load(cls, data: bytes) -> State:
        state = cls()
        snapshot.fill(state, data)
        state.reindex()
        return state


def _suspended_first(run: LiveRun) -> tuple[int, str]:
    return run.suspended_at, run.id


def _drop(index: dict[str, set[str]], key: str, member: str) -> None:
    members = index.get(key)
    if members is not None:
        members.discard(member)
        if not members:
            del index[key]
