"""What the engine's panel is told of the last minutes."""

from __future__ import annotations

from kernelkit.clock import MICROS
from kernelkit.engine.pulse import STEP, STEPS, Pulse

T0 = 1_000 * STEP


def test_it_starts_empty_and_counts_by_steps() -> None:
    pulse = Pulse()
    assert pulse.read(T0).ended == ()
    for second in (0, 1, 16, 61):
        pulse.ended(T0 + second * MICROS)

    read = pulse.read(T0 + 61 * MICROS)

    assert read.ended == (2, 1, 0, 0, 1)
    assert read.ended_a_minute == 2, "the first step is more than a minute ago"
    assert read.waits == (-1.0,) * 5


def test_quiet_minutes_are_told_as_nothing() -> None:
    pulse = Pulse()
    pulse.ended(T0)
    read = pulse.read(T0 + 10 * STEPS * STEP)
    assert read.ended == (0,) * STEPS
    assert read.wait == -1.0


def test_waits_are_told_as_median_and_p95_whatever_their_number() -> None:
    pulse = Pulse()
    for wait in range(1, 101):
        pulse.started(T0, wait * 1_000)
    read = pulse.read(T0)
    assert (read.wait, read.wait_p95, read.waits) == (0.0505, 0.095, (0.0505,))
    for _ in range(5_000):
        pulse.started(T0, 7_000)
    assert pulse.read(T0).wait == 0.007


def test_a_clock_that_is_set_back_counts_in_the_latest_step() -> None:
    pulse = Pulse()
    pulse.ended(T0)
    pulse.ended(T0 - 5 * STEP)
    assert pulse.read(T0).ended == (2,)
