"""Machine presets: what they cap and reserve, and what becomes of a run that needs more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.testing import RealEngine, engine
from tests.behaviour.conftest import Stage, until

MIB = 2**20
QUICK = kk.Retry(max_attempts=3, min_timeout=0.05, max_timeout=0.1, randomize=False)
LARGER = kk.Retry(max_attempts=3, min_timeout=0.05, randomize=False, on_out_of_memory="small-2x")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEngine]:
    """A real engine whose host has 2 vCPUs and 2 GiB for machines."""
    home = tmp_path_factory.mktemp("host")
    with engine(home=home, real_time=True, workers=4, machine_vcpus=2.0, machine_memory_bytes=2 * 1024 * MIB) as made:
        assert isinstance(made, RealEngine)
        yield made


@pytest.fixture
def on_host(host: RealEngine) -> Iterator[RealEngine]:
    with callers.use(host.caller):
        yield host


def test_04_1_the_presets_are_those_of_the_reference() -> None:
    from kernelkit.models.machine import GIB, PRESETS

    assert {name: (machine.cpu, machine.memory / GIB) for name, machine in PRESETS.items()} == {
        "micro": (0.25, 0.25),
        "small-1x": (0.5, 0.5),
        "small-2x": (1, 1),
        "medium-1x": (1, 2),
        "medium-2x": (2, 4),
        "large-1x": (4, 8),
        "large-2x": (8, 16),
    }


def test_04_2_trigger_goes_before_task_goes_before_process(stage: Stage) -> None:
    kk.configure(machine="micro")

    @kk.task(id="m-default")
    async def by_process() -> str | None:
        return kk.ctx.machine.name if kk.ctx.machine else None

    @kk.task(id="m-own", machine="small-1x")
    async def by_task() -> str | None:
        return kk.ctx.machine.name if kk.ctx.machine else None

    @kk.task(id="m-none", machine=None)
    async def without() -> str | None:
        return kk.ctx.machine.name if kk.ctx.machine else None

    kk.configure(machine=None)
    runs = [by_process.trigger(), by_task.trigger(), by_task.options(machine="small-2x").trigger(), without.trigger()]
    stage.finish()

    wanted = ["micro", "small-1x", "small-2x", None]
    assert [run.result(timeout=20).output for run in runs] == wanted
    assert [run.refresh().machine for run in runs] == wanted
    assert [listed.machine for listed in kk.runs.list(task="m-own")] == ["small-2x", "small-1x"]


def test_04_2_an_unknown_preset_is_refused_with_its_neighbours() -> None:
    with pytest.raises(
        kk.InvalidOptionError, match=r"machine='large-1' is not a machine preset. Did you mean 'large-1x'"
    ):

        @kk.task(machine="large-1")
        async def never() -> None: ...


def test_04_a_named_machine_is_a_process_of_its_own(stage: Stage) -> None:
    @kk.task(id="m-alone", machine="micro")
    async def alone() -> list[object]:
        return [os.getpid(), os.environ.get("OMP_NUM_THREADS"), os.environ.get("POLARS_MAX_THREADS")]

    @kk.task(id="m-shared")
    async def shared() -> int:
        return os.getpid()

    assert alone.isolation == "process"
    one, other, elsewhere = alone.trigger(), shared.trigger(), shared.options(machine="small-2x").trigger()
    stage.finish()

    pid, *variables = one.result(timeout=20).output
    if not stage.is_virtual:
        assert variables == ["1", "1"]
        assert len({pid, other.result(timeout=20).output, elsewhere.result(timeout=20).output}) == 3


def test_04_shared_isolation_contradicts_a_machine() -> None:
    with pytest.raises(kk.InvalidOptionError, match="isolation='shared' contradict"):

        @kk.task(machine="micro", isolation="shared")
        async def never() -> None: ...


def test_04_ctx_shows_what_the_host_can_give(on_host: RealEngine) -> None:
    @kk.task(id="m-large", machine="large-1x")
    def large() -> list[object]:
        assert kk.ctx.machine is not None
        return [kk.ctx.machine.name, kk.ctx.machine.cpu, kk.ctx.machine.memory, os.environ["MKL_NUM_THREADS"]]

    run = large.trigger()

    assert run.result(timeout=30).output == ["large-1x", 2, 2, "2"]
    told = run.refresh()
    assert told.machine == "large-1x"
    assert told.notice == "Machine large-1x is 4 vCPU and 8 GiB; this host has less, so it is 2 vCPU and 2 GiB here."


def test_04_strict_machines_refuse_what_the_host_has_not() -> None:
    @kk.task(id="m-strict")
    async def small() -> None: ...

    with engine(strict_machines=True, machine_vcpus=2, machine_memory_bytes=1024 * MIB):
        with pytest.raises(kk.InvalidOptionError, match=r"this host has 2 vCPU and 1 GiB .* strict_machines"):
            small.options(machine="medium-1x").trigger()
        assert len(kk.runs.list(task="m-strict")) == 0
        assert small.options(machine="small-2x").trigger().id


def test_04_4_memory_over_the_cap_is_refused_and_the_run_goes_on_larger(on_host: RealEngine) -> None:
    @kk.task(id="m-hungry", machine="micro", retry=LARGER)
    def hungry() -> list[object]:
        kept = bytearray(400 * MIB)
        assert kk.ctx.machine is not None
        return [len(kept), kk.ctx.machine.name]

    @kk.task(id="m-bystander")
    async def bystander() -> str:
        return "well"

    beside = bystander.trigger()
    run = hungry.trigger()

    assert run.result(timeout=30).output == [400 * MIB, "small-2x"]
    told = run.refresh()
    assert (told.machine, [attempt.status for attempt in told.attempts]) == ("small-2x", ["CRASHED", "COMPLETED"])
    error = told.attempts[0].error
    assert error is not None
    assert (error.name, error.code) == ("MemoryError", "out_of_memory")
    assert "limit 0.25 GiB (machine micro)" in error.message and "peak 0." in error.message
    assert (told.usage.peak_memory or 0) > 400 * MIB
    assert (told.attempts[0].peak_memory or MIB) < 260 * MIB
    assert beside.result(timeout=20).output == "well"


def test_04_4_without_a_larger_machine_the_run_is_crashed(on_host: RealEngine) -> None:
    @kk.task(id="m-no-way", machine="micro", retry=QUICK)
    async def hungry() -> int:
        return len(bytearray(400 * MIB))

    result = hungry.trigger().result(timeout=30)

    assert not result.ok
    assert len(result.run.attempts) == 1
    assert result.run.status == "CRASHED"
    assert "Out of memory: peak 0." in str(result.error) and "limit 0.25 GiB (machine micro)" in str(result.error)


def test_04_4_memory_of_children_counts(on_host: RealEngine) -> None:
    eat = "x = b'x' * (200 * 2**20); import time; print('fed', flush=True); time.sleep(60)"

    @kk.task(
        id="m-family", machine="micro", retry=kk.Retry(max_attempts=2, min_timeout=0.05, on_out_of_memory="small-2x")
    )
    def family() -> str:
        if kk.ctx.attempt.number == 2:
            return "enough"
        children = [subprocess.Popen([sys.executable, "-c", eat]) for _ in range(3)]
        time.sleep(60)
        return str(len(children))

    result = family.trigger().result(timeout=40)

    assert result.output == "enough"
    first = result.run.attempts[0]
    assert first.error is not None and first.error.name == "OutOfMemoryError"
    assert "held more memory than it may, and KernelKit ended it" in first.error.message
    assert (first.peak_memory or 0) > 256 * MIB


def test_04_3_a_kill_near_the_cap_is_out_of_memory_another_is_not(on_host: RealEngine) -> None:
    @kk.task(id="m-full", machine="micro", retry=LARGER)
    def full() -> str:
        if kk.ctx.attempt.number == 1:
            kept = b"x" * (215 * MIB)
            os.kill(os.getpid(), signal.SIGKILL)
            return str(len(kept))
        return str(kk.ctx.machine.name if kk.ctx.machine else None)

    @kk.task(id="m-killed", machine="micro", retry=LARGER)
    def killed() -> str:
        if kk.ctx.attempt.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return str(kk.ctx.machine.name if kk.ctx.machine else None)

    near, far = full.trigger(), killed.trigger()

    assert near.result(timeout=30).output == "small-2x"
    assert far.result(timeout=30).output == "micro"
    names = [run.refresh().attempts[0].error.name for run in (near, far)]  # type: ignore[union-attr]
    assert names == ["OutOfMemoryError", "WorkerLostError"]


@pytest.mark.parametrize("raised", [MemoryError, kk.OutOfMemoryError])
def test_04_5_an_error_raised_by_the_body_counts_as_well(stage: Stage, raised: type[Exception]) -> None:
    @kk.task(id=f"m-raises-{raised.__name__}", retry=LARGER)
    async def raises() -> int:
        if kk.ctx.attempt.number == 1:
            raise raised("too much")
        return kk.ctx.attempt.number

    @kk.task(id=f"m-spent-{raised.__name__}", retry=QUICK)
    async def spent() -> None:
        raise raised("too much")

    run, other = raises.trigger(), spent.trigger()
    stage.finish()

    assert run.result(timeout=20).output == 2
    assert run.refresh().machine == "small-2x"
    assert [attempt.status for attempt in other.refresh().attempts] == ["CRASHED"]
    assert other.status == "CRASHED"


def test_04_4_a_larger_machine_is_kept_for_later_attempts(stage: Stage) -> None:
    @kk.task(id="m-keeps", machine="micro", retry=LARGER)
    def keeps() -> None:
        if kk.ctx.attempt.number == 1:
            raise MemoryError
        raise ValueError(kk.ctx.machine)

    run = keeps.trigger()
    stage.finish()

    told = run.refresh()
    assert told.status == "FAILED"
    assert [attempt.status for attempt in told.attempts] == ["CRASHED", "FAILED", "FAILED"]
    assert "small-2x" in str(told.error)


def test_04_4_no_second_change_of_machine(stage: Stage) -> None:
    @kk.task(id="m-again", machine="micro", retry=LARGER)
    async def again() -> None:
        raise MemoryError

    run = again.trigger()
    stage.finish()

    assert [attempt.status for attempt in run.refresh().attempts] == ["CRASHED", "CRASHED"]
    assert run.status == "CRASHED"


def test_04_memory_is_reserved_and_the_reason_says_so(on_host: RealEngine, tmp_path: object) -> None:
    gate = f"{tmp_path}/gate"

    @kk.task(id="m-first", machine="medium-1x")
    def first(gate: str) -> None:
        while not os.path.exists(gate):
            time.sleep(0.01)

    @kk.task(id="m-second", machine="small-2x")
    def second() -> str:
        return "after"

    holder = first.trigger(gate=gate)
    until(lambda: holder.status == "EXECUTING")
    waiting = second.trigger()

    until(lambda: waiting.status == "QUEUED")
    assert waiting.refresh().queued_reason == "waits for memory: 1 GiB asked, 0 free"
    open(gate, "w").close()
    assert waiting.result(timeout=30).output == "after"


def test_04_on_the_virtual_engine_caps_are_not_applied_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    @kk.task(id="m-virtual", machine="micro")
    def large() -> int:
        return len(bytearray(300 * MIB))

    with caplog.at_level("WARNING", "kernelkit.testing"), engine() as eng:
        runs = [large.trigger(), large.trigger()]
        eng.drain()
        assert [run.result(timeout=5).output for run in runs] == [300 * MIB] * 2

    assert [record.message for record in caplog.records if record.name == "kernelkit.testing"] == [
        "memory caps are not applied on the virtual engine; test them with engine(home=…, workers=2, real_time=True)"
    ]
