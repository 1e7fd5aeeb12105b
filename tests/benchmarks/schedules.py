"""What a fire costs the engine, and how soon after its slot a run starts: `python -m tests.benchmarks.schedules`.

The cost is CPU of the engine's own work (deciding, applying, writing events as text) over a virtual day, without
workers and disk; the runs are canceled as soon as they are made, which is not counted. The delay is real: a daemon, a
keeper and a warm worker, with all schedules due at the same minutes, from the slot to the moment at which the body
began.
"""

from __future__ import annotations

import sys
import time
from random import Random
from typing import Any

from msgspec.structs import replace

import kernelkit as kk
from kernelkit.engine import commands as c
from kernelkit.engine.decide import next_due, step
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.schedule import Timing
from tests.benchmarks import figures
from tests.benchmarks.project import project
from tests.simulation.chance import Dice
from tests.simulation.specs import random_spec

NAME = "schedules"
START = 1_800_000_000_000_000
DAY = 86_400_000_000
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo")
FEW = 100
COST_US = 100.0
GROWTH = 1.3
DELAY_MS = 300.0
READY_S = 10.0  # before the first slot that counts, for creating the schedules


def measure(schedules: int = 10_000, due: int = 200, minutes: int = 5) -> dict[str, Any]:
    """Microseconds a fire for few and for many schedules; milliseconds from slot to start, unless `minutes` is 0."""
    few, many = virtual_day(FEW), virtual_day(schedules)
    growth = many[1] / few[1]
    delays = _delays(due, minutes) if minutes else []
    delay = figures.latencies(delays) if delays else None
    met = many[1] <= COST_US and growth <= GROWTH and (delay is None or delay["p99"] <= DELAY_MS)
    return figures.line(
        NAME,
        round(many[1], 1),
        f"us of engine CPU a fire, of {schedules:,} schedules",
        f"<= {COST_US:g}, <= {GROWTH:g} x that of {FEW}; a run starts <= {DELAY_MS:g} ms after its slot at p99",
        met,
        {
            "fires": {str(FEW): few[0], str(schedules): many[0]},
            "us_a_fire": {str(FEW): round(few[1], 1), str(schedules): round(many[1], 1)},
            "growth": round(growth, 3),
            "started_after_slot_ms": delay,
        },
    )


def virtual_day(count: int) -> tuple[int, float]:
    """How many slots of `count` schedules fired, and microseconds of CPU for each."""
    random, state, capacity = Random(1), State(), c.Capacity(0, 0, 1)
    dice = Dice(random)
    spec = replace(random_spec(Random(0), "mail"), timing=None, ttl=0.0)
    step(state, c.DefineTask(spec), capacity, START, dice)
    for number in range(count):
        cron = f"{random.randrange(60)} */{random.choice((1, 2, 3))} * * {random.choice(('*', '1-5'))}"
        timing = Timing(cron, random.choice(ZONES))
        step(state, c.SaveSchedule(f"sched_{number}", "mail", timing, "u", f"k{number}"), capacity, START, dice)
    fired, cpu = 0, 0.0
    while (due := next_due(state)) is not None and due <= START + DAY:
        begun = time.process_time()
        changes = step(state, c.Tick(), capacity, due, dice)
        for change in changes:
            ev.to_json(change.event)
        cpu += time.process_time() - begun
        for change in changes:
            if isinstance(change.event, ev.RunTriggered):
                fired += 1
                step(state, c.CancelRun(change.event.run_id, "counted"), capacity, due, dice)
    return fired, cpu / fired * 1_000_000


@kk.task(id="bench-scheduled")
async def scheduled() -> float:
    """What all schedules start: tells when its body began."""
    return time.time()


def _delays(due: int, minutes: int) -> list[float]:
    """Seconds from slot to start of each run of so many real minutes."""
    with project(NAME):
        assert scheduled.trigger().result(60).ok
        if 60 - time.time() % 60 < READY_S:
            time.sleep(READY_S)
        first = (time.time() // 60 + 1) * 60
        for number in range(due):
            kk.schedules.create(task=scheduled, cron="* * * * *", deduplication_key=f"s{number}")
        assert time.time() < first, "the schedules were not made in time; take fewer"
        time.sleep(first + 60 * (minutes - 1) + 20 - time.time())
        done = "schedule_id is not null and status = 'COMPLETED'"
        rows = kk.sql(f"select epoch(date_trunc('minute', created_at)), output::double from runs where {done}").rows
        assert len(rows) == due * minutes, f"{len(rows)} runs of {due * minutes} slots"
        return [began - slot for slot, began in rows]


if __name__ == "__main__":
    sys.exit(figures.main(measure))
