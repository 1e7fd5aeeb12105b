"""What must hold between events, each law a function with a sentence.

Laws of a step look at the engine's memory after it, beside the book; laws of the end look at the quieted world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kernelkit.clock import to_datetime
from kernelkit.engine import commands as c
from kernelkit.engine.decide import next_due
from kernelkit.engine.state import State
from kernelkit.engine.views import run_view
from kernelkit.models.run import FINAL, RunStatus
from tests.simulation.book import share
from tests.simulation.comparing import difference, fields_of, indexes_of
from tests.simulation.laws import broken
from tests.simulation.schedules import the_book_agrees_on_schedules

if TYPE_CHECKING:
    from tests.simulation.book import Entry
    from tests.simulation.world import World

# ---- after every step ------------------------------------------------------------------------------------------------


def cancels_reach_the_children(world: World) -> None:
    """When a run is canceled, so is every live run below it, in the same step."""
    for run_id in world.must_be_canceled:
        if world.book.runs[run_id].status not in FINAL:  # one that timed out stays so
            broken(cancels_reach_the_children, f"{run_id} goes on")
    world.must_be_canceled.clear()


def no_run_that_could_start_is_left_standing(world: World, state: State) -> None:
    """After a step no ready run stands in a lane that has a slot for it."""
    book, capacity = world.book, world.capacity
    holders = book.holders()
    if len(holders) >= capacity.attempts:
        return
    moment = max(book.clock, world.now)
    for entry in book.startable(capacity.exclusive, moment):
        broken(no_run_that_could_start_is_left_standing, entry)
    if sum(1 for entry in holders if entry.isolation == "process") >= capacity.exclusive:
        return
    machined = [entry for entry in book.ready() if entry.machine and book.may_start(entry, moment)]
    if not machined:
        return
    first, host = min(machined, key=book.turn), (capacity.cpu, capacity.memory)
    (cpu, memory), (more_cpu, more_memory) = book.promised(*host), share(first.machine, *host)
    if cpu + more_cpu <= host[0] and memory + more_memory <= host[1]:
        broken(no_run_that_could_start_is_left_standing, first)


def timers_are_set(world: World, state: State) -> None:
    """The next timer is the earliest of all: ends of delays and of times to live, retries, longest durations, slots
    of schedules, and tokens of queues that nothing else holds up."""
    book, due = world.book, next_due(state)
    moments = [moment for entry in book.live.values() if (moment := entry.moment)]
    moments += [entry.waits_for for entry in book.schedules.live.values() if entry.waits_for]
    moments += [token.timeout_at for token in book.tokens.values() if token.timeout_at and not token.ended]
    first = min(moments, default=None)
    if due == first or (due is not None and (first is None or due < first) and _brings_a_token(world, due)):
        first = due
    if due != first or (due is None and _throttled(world)):
        broken(timers_are_set, f"{due} of {sorted(moments)}")


def _brings_a_token(world: World, moment: int) -> bool:
    """Whether a queue with runs in it has its next token at that moment."""
    book = world.book
    queues = [book.queue(name) for name in {entry.queue for entry in book.live.values()}]
    return any(not queue.has_token(moment - 1) and queue.has_token(moment) for queue in queues)


def _throttled(world: World) -> bool:
    """Whether somebody waits for a token and for nothing else."""
    book, capacity = world.book, world.capacity
    if len(book.holders()) >= capacity.attempts:
        return False
    return any(True for _ in book.startable(capacity.exclusive, 2**62))


def a_tick_leaves_nothing_overdue(world: World, state: State) -> None:
    """When time was told to have passed, everything that was due has happened."""
    due = [moment for entry in world.book.live.values() if 0 < (moment := entry.moment) <= world.now]
    if isinstance(world.host.command, c.Tick) and due:
        broken(a_tick_leaves_nothing_overdue, f"{due} is due at {world.now}")


def what_has_come_is_told(world: World, state: State) -> None:
    """After a step no open wait misses nothing: neither runs that have not ended, nor an open token, nor
    a value of a stream."""
    book = world.book
    for entry in book.live.values():
        for op, wait in entry.waits.items():
            runs_left = any(i in book.live and book.live[i].status not in FINAL for i in wait.runs)
            token = book.tokens.get(wait.token)
            if (wait.runs and not runs_left) or (token is not None and token.ended) or book.has_come(entry.id, wait):
                broken(what_has_come_is_told, f"{op} of {entry}")


def whoever_waits_has_nothing_else_to_do(world: World, state: State) -> None:
    """A WAITING run has open waits, and is not untold of any that is over."""
    for entry in world.book.live.values():
        if entry.status is RunStatus.WAITING and (not entry.waits or entry.untold):
            broken(whoever_waits_has_nothing_else_to_do, entry)


def slots_are_held_by_who_holds_them(world: World, state: State) -> None:
    """The holders of slots are the runs with a live attempt or a kept slot, and no others."""
    expected = {entry.id for entry in world.book.holders()}
    if state.holders != expected:
        broken(slots_are_held_by_who_holds_them, f"{state.holders} is not {expected}")


STEP_LAWS: tuple[Callable[[World, State], None], ...] = (
    slots_are_held_by_who_holds_them,
    timers_are_set,
    a_tick_leaves_nothing_overdue,
    what_has_come_is_told,
    whoever_waits_has_nothing_else_to_do,
    no_run_that_could_start_is_left_standing,
)


# ---- now and then, after a crash, and at the end ---------------------------------------------------------------------


def snapshots_lose_nothing(world: World, state: State) -> None:
    """A state that was written down and read again is equal, down to its indexes."""
    again = State.load(state.dump())
    if fields_of(again) != fields_of(state):
        broken(snapshots_lose_nothing, difference(fields_of(state), fields_of(again)))
    if indexes_of(again) != indexes_of(state):
        broken(snapshots_lose_nothing, difference(indexes_of(state), indexes_of(again)))


def queued_runs_say_why(world: World, state: State) -> None:
    """Every queued run has a reason, which is true, and the number of runs it names as ahead of it is right."""
    waiting = [entry for entry in world.book.live.values() if entry.status is RunStatus.QUEUED]
    for entry in waiting:
        reason = run_view(state.runs[entry.id], state, world.capacity).queued_reason or ""
        ahead = sum(1 for o in waiting if o.is_ready and o.slots == entry.slots and o.order < entry.order)
        said = f", {ahead} {'run' if ahead == 1 else 'runs'} ahead" if ahead else ""
        true = [f"{words}{said}" for words in _true_reasons(world, entry, reason.removesuffix(said))]
        if reason.startswith("waits"):
            world.facts.note("waits for a machine")
        if reason not in (true if entry.is_ready else [reason] if reason else []):
            broken(queued_runs_say_why, f"{entry.id} says {reason!r}, and true are {true}")


def _true_reasons(world: World, entry: Entry, reason: str) -> Iterator[str]:
    """All that holds up a run which stands in line, as the book tells it."""
    book, capacity = world.book, world.capacity
    queue, holders = book.queue(entry.queue), book.holders()
    if book.paused:
        yield "the project is paused"
    if queue.paused:
        yield f"queue {entry.queue} is paused"
    if book.is_full(entry.slots):
        used = sum(1 for other in holders if other.slots == entry.slots)
        key = f", key {entry.key}" if entry.key else ""
        yield f"queue {entry.queue}{key}: {used} of {queue.current} in use"
    if not entry.suspended_at and not queue.has_token(max(book.clock, world.now)):
        missing = 1 - queue.tokens
        moment = queue.tokens_at - int(-missing / queue.per_micro // 1)
        until = to_datetime(moment).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
        yield f"queue {entry.queue}: rate limit {queue.rate}, next start at {until} UTC"
    if len(holders) >= capacity.attempts:
        yield f"project limit: {len(holders)} of {capacity.attempts} executing"
    exclusive = sum(1 for other in holders if other.isolation == "process")
    if entry.isolation == "process" and exclusive >= capacity.exclusive:
        yield f"no exclusive worker free: {exclusive} of {capacity.exclusive} in use"
    if entry.machine and reason.startswith("waits"):
        yield reason


def the_book_agrees(world: World, state: State) -> None:
    """The engine's memory says of every run what the log says."""
    book = world.book
    told = {
        entry.id: (
            *(entry.status, entry.fence, entry.holds, entry.retry_at, entry.moment, entry.metadata, entry.tags),
            *(set(entry.waits), entry.untold, entry.steps, entry.paused, entry.sent),
            {key: length for (run_id, key), length in book.streams.items() if run_id == entry.id},
        )
        for entry in book.live.values()
    }
    known = {
        run.id: (
            *(run.status, run.fence, run.holds_slot, run.retry_at, run.timer, run.metadata, run.tags),
            *(set(run.waits), set(run.fresh), set(run.steps), run.paused, run.sent),
            {key: length.count for key, length in run.streams.items()},
        )
        for run in state.runs.values()
    }
    if told != known:
        broken(the_book_agrees, difference(told, known))
    nothing = (None, None, False, None)
    set_here = {
        name: said
        for name, queue in book.queues.items()
        if (said := (queue.limit, queue.override, queue.paused, queue.rate)) != nothing
    }
    set_there = {name: (r.limit, r.override, r.paused, r.rate) for name, r in state.queues.items()}
    set_there = {name: said for name, said in set_there.items() if said != nothing}
    if set_here != set_there or book.paused != state.paused:
        broken(the_book_agrees, difference(set_here, set_there))


def machines_agree(world: World, state: State) -> None:
    """The engine's memory says of every run which machine it has, and which kind of worker it needs."""
    told = {entry.id: (entry.machine, entry.isolation) for entry in world.book.live.values()}
    known = {run.id: (run.machine, run.isolation) for run in state.runs.values()}
    if told != known:
        broken(machines_agree, difference(told, known))


def the_log_folds_to_the_state(world: World, state: State) -> None:
    """The log from its first event on, folded anew, gives the state."""
    again = world.disk.refold()
    if fields_of(again) != fields_of(state):
        broken(the_log_folds_to_the_state, difference(fields_of(state), fields_of(again)))


NOW_AND_THEN: tuple[Callable[[World, State], None], ...] = (
    snapshots_lose_nothing,
    queued_runs_say_why,
    the_book_agrees,
    machines_agree,
    the_book_agrees_on_schedules,
)


def the_quiet_world_is_empty(world: World, state: State) -> None:
    """When the world has quieted no run is stuck and no slot is held."""
    if state.runs or state.holders or state.by_worker or state.kept:
        broken(the_quiet_world_is_empty, f"{list(state.runs.values())[:3]}, holders {state.holders}")


def acknowledged_runs_end_once(world: World, state: State) -> None:
    """Every acknowledged run ends exactly once."""
    for run_id in world.acknowledged:
        entry = world.book.runs.get(run_id)
        if entry is None or entry.ends != 1:
            broken(acknowledged_runs_end_once, f"{run_id}: {entry}")


AT_THE_END = (the_quiet_world_is_empty, acknowledged_runs_end_once, the_log_folds_to_the_state, *NOW_AND_THEN)
