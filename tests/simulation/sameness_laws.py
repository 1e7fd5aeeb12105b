"""What must hold of triggers that mean a run which is there already: keys, debounce, and requests sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelkit.models import event as ev
from tests.simulation.book import Entry, micros
from tests.simulation.laws import EventLaw, broken, terminal_is_final
from tests.simulation.samebook import FREED_BY, SameBook

if TYPE_CHECKING:
    from tests.simulation.world import World


def _same(world: World) -> SameBook:
    return world.book.same


def a_request_acts_once(
    world: World,
    event: ev.RunTriggered
    | ev.TriggerAnswered
    | ev.RunDebounced
    | ev.KeyCleared
    | ev.RunRescheduled
    | ev.RetryDue
    | ev.StreamAppended,
) -> None:
    """A request that is sent again after a lost reply changes nothing."""
    asked = event.run_id if isinstance(event, ev.RunTriggered) else event.asked
    known = asked in _same(world).answered or (not isinstance(event, ev.RunRescheduled) and asked in world.book.runs)
    if asked and known:
        broken(a_request_acts_once, event)


# ---- keys ------------------------------------------------------------------------------------------------------------


def a_key_has_one_live_run(world: World, event: ev.RunTriggered | ev.RunDebounced) -> None:
    """No run comes to hold a key while another stands for it."""
    if event.key is None:
        return
    task_id = event.task_id if isinstance(event, ev.RunTriggered) else world.book.runs[event.run_id].task
    same = _same(world)
    if holder := same.holder(world.book, task_id, event.key, event.at):
        broken(a_key_has_one_live_run, f"{event} while {holder}")
    if (before := same.holders.get((task_id, event.key.hash))) is not None:
        freed = world.book.runs[before[0]].status in FREED_BY
        world.facts.note("key freed by its run's end" if freed else "key whose time is over")


def a_key_answers_with_its_run(world: World, event: ev.TriggerAnswered) -> None:
    """A trigger is answered with the run that holds its key now, and only then."""
    asked = world.asked[event.asked]
    assert asked.key is not None
    holder = _same(world).holder(world.book, asked.task_id, asked.key, event.at)
    if holder is None or holder.id != event.run_id:
        broken(a_key_answers_with_its_run, f"{event} while {holder}")
    if holder.ended:
        world.facts.note("key of a run that is over")


def a_key_is_cleared_while_it_is_held(world: World, event: ev.KeyCleared) -> None:
    """Only a key that some run was given, and whose time is not over, is taken back."""
    _, until = _same(world).holders.get((event.task_id, event.hash), ("", 0))
    if until <= max(world.book.clock, event.at):
        broken(a_key_is_cleared_while_it_is_held, event)


# ---- debounce --------------------------------------------------------------------------------------------------------


def pushes_go_to_the_delayed_run(world: World, event: ev.RunDebounced) -> None:
    """A push goes to the newest delayed run with its key, and moves it to its own delay, in whole seconds, or not."""
    asked = world.asked[event.asked]
    assert asked.debounce is not None
    target = _same(world).target(world.book, asked.task_id, asked.debounce.key)
    moment = event.at + micros(asked.debounce.delay_s)
    if (
        target is None
        or target.id != event.run_id
        or event.delay_until != max(target.delay_until, moment - moment % micros(1))
    ):
        broken(pushes_go_to_the_delayed_run, f"{event} for {asked} while {target}")
    if _is_late(target, asked.debounce.max_delay_s, moment):
        broken(pushes_go_to_the_delayed_run, f"{event} is beyond the longest delay of {asked}")


def a_debounce_key_has_one_delayed_run(world: World, event: ev.RunTriggered) -> None:
    """No second run is made while one takes pushes, unless it may be pushed no further."""
    asked = world.asked[event.run_id]
    if asked.debounce is None:
        return
    target = _same(world).target(world.book, asked.task_id, asked.debounce.key)
    moment = event.at + micros(asked.debounce.delay_s)
    if target is not None and not _is_late(target, asked.debounce.max_delay_s, moment):
        broken(a_debounce_key_has_one_delayed_run, f"{event} while {target}")
    if target is not None:
        world.facts.note("debounce past its longest delay")


def _is_late(target: Entry, max_delay_s: float | None, moment: int) -> bool:
    return max_delay_s is not None and moment > target.created_at + micros(max_delay_s)


def pushes_leave_or_take_the_data(world: World, event: ev.RunDebounced) -> None:
    """A trailing push gives the run what it asked for, a leading one nothing."""
    asked = world.asked[event.asked]
    assert asked.debounce is not None
    given = (asked.bundle, asked.tags or None, asked.max_attempts, asked.max_duration)
    expected = (True, *given) if asked.debounce.trailing else (False, "", None, None, None)
    if (event.trailing, event.bundle, event.tags, event.max_attempts, event.max_duration) != expected:
        broken(pushes_leave_or_take_the_data, f"{event} for {asked}")


def runs_start_with_the_code_that_counts(world: World, event: ev.RunDispatched) -> None:
    """The first attempt has the code that was pinned by the trigger which counts."""
    entry = world.book.runs[event.run_id]
    if entry.locked is None and entry.bundle and event.bundle != entry.bundle:
        broken(runs_start_with_the_code_that_counts, f"{event} while {entry}")


EVENT_LAWS: dict[type[ev.Event], tuple[EventLaw, ...]] = {
    ev.RunTriggered: (a_request_acts_once, a_key_has_one_live_run, a_debounce_key_has_one_delayed_run),
    ev.TriggerAnswered: (a_request_acts_once, a_key_answers_with_its_run),
    ev.RunDebounced: (
        terminal_is_final,
        a_request_acts_once,
        a_key_has_one_live_run,
        pushes_go_to_the_delayed_run,
        pushes_leave_or_take_the_data,
    ),
    ev.KeyCleared: (a_request_acts_once, a_key_is_cleared_while_it_is_held),
    ev.RunRescheduled: (a_request_acts_once,),
    ev.RetryDue: (a_request_acts_once,),
    ev.RunDispatched: (runs_start_with_the_code_that_counts,),
}
