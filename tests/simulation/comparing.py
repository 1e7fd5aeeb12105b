"""States taken apart so that two can be compared, and what differs named."""

from __future__ import annotations

from typing import Any

from kernelkit.engine.liverun import Order
from kernelkit.engine.state import State


def fields_of(state: State) -> dict[str, object]:
    """What is written down of a state."""
    return {
        "seq": state.seq,
        "clock": state.clock,
        "runs": state.runs,
        "tasks": state.tasks,
        "bundles": state.bundles,
        "numbers": state.numbers,
        "workers": state.workers,
        "tokens": state.tokens,
        "aliases": state.aliases,
        "keys": state.keys,
        "answers": state.answers,
        "sweep_keys_at": state.sweep_keys_at,
        "bulks": state.bulks,
        "schedules": state.schedules,
        "queues": state.queues,
        "since": state.since,
        "paused": state.paused,
    }


def indexes_of(state: State) -> dict[str, object]:
    """The indexes of a state without entries that `head` and `next_due` would drop when they meet them."""
    lanes: dict[object, list[tuple[Order, str]]] = {}
    for lane, heap in [((slots, kind), heap) for slots, kinds in state.lanes.items() for kind, heap in kinds.items()]:
        ready = {
            (order, run_id)
            for order, run_id in heap
            if (run := state.runs.get(run_id)) is not None
            and (run.is_ready, run.order, (run.slots, run.kind)) == (True, order, lane)
        }
        if ready:
            lanes[lane] = sorted(ready)
    return {
        "holders": state.holders,
        "exclusive": state.exclusive,
        "queued": state.queued,
        "by_queue": state.by_queue,
        "by_worker": state.by_worker,
        "by_parent": state.by_parent,
        "by_env": state.by_env,
        "undefined": state.undefined,
        "lanes": lanes,
        "kept": set(state.kept),
        "debounced": state.debounced,
        "schedule_keys": state.schedule_keys,
        "own_schedules": state.own_schedules,
        "slots": {(at, i) for at, i in state.slots if i in state.schedules and state.schedules[i].next_at == at},
        "due": {(at, whose) for at, whose in state.due if state.timer_of(whose) == at},
        "held": set(state.held),
        "left": state.waiting.left,
        "waiting for runs": state.waiting.by_run,
        "waiting for tokens": state.waiting.by_token,
        "waiting for streams": state.waiting.by_stream,
        "token names": state.waiting.by_name,
        "token keys": state.waiting.by_key,
        "complete": set(state.waiting.complete),
    }


def difference(left: dict[Any, Any], right: dict[Any, Any]) -> str:
    """The first few keys under which two tellings differ."""
    keys = [key for key in (left.keys() | right.keys()) if left.get(key) != right.get(key)]
    return "; ".join(f"{key}: {left.get(key)} is not {right.get(key)}" for key in keys[:3])
