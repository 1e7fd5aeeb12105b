"""What a fire costs the engine: schedules over a virtual day, `python -m tests.benchmarks.schedules`.

CPU of the engine's own work (deciding, applying, writing events as text), without workers and disk; the runs are
canceled as soon as they are made, which is not counted. Nothing here judges: the figures go into the report.
"""

from __future__ import annotations

import sys
import time
from random import Random

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.decide import next_due, step
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.schedule import Timing
from tests.simulation.chance import Dice
from tests.simulation.specs import random_spec

START = 1_800_000_000_000_000
DAY = 86_400_000_000
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo")


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


def main() -> None:
    for count in (100, 10_000):
        fired, each = virtual_day(count)
        sys.stdout.write(f"{count:>6,} schedules: {fired:>7,} fires, {each:.0f} µs of CPU each\n")


if __name__ == "__main__":
    main()
