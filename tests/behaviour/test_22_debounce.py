"""§22: rapid triggers with one debounce key become one run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.authoring.handle import RunHandle
from kernelkit.testing import VirtualEngine, engine
from tests.behaviour.conftest import Stage

START = datetime(2030, 1, 1, tzinfo=UTC)


@kk.task(retry=None)
async def index(n: int = 0) -> int:
    return n


@kk.task(retry=None)
async def sync(n: int = 0) -> int:
    return n


def push(n: int, delay: Any = "5s", **debounce: Any) -> RunHandle[int]:
    return index.options(debounce=kk.Debounce("user-1", delay, **debounce)).trigger(n=n)


def due(run: RunHandle[Any]) -> float:
    """Seconds from the start of the test until the run leaves its delay."""
    until = run.refresh().delay_until
    assert until is not None
    return (until - START).total_seconds()


def start(stage: Stage, run: RunHandle[Any]) -> None:
    """End the run's delay, which is long so that no slow machine ends it."""
    run.reschedule(delay=0)
    if stage.is_virtual:
        stage.engine.drain()


@pytest.fixture
def eng() -> Any:
    with engine(now=START) as made:
        yield made


# ---- 22.2: the same run, pushed --------------------------------------------------------------------------------------


def test_22_2_triggers_with_one_key_become_one_run_with_the_first_data(stage: Stage) -> None:
    runs = [push(n, "1h") for n in range(5)]
    start(stage, runs[0])

    assert len({run.id for run in runs}) == 1
    assert not any(run.is_cached for run in runs)
    assert [run.result(timeout=20).output for run in runs] == [0] * 5


def test_22_2_each_trigger_pushes_the_run_back_in_whole_seconds_and_never_forward(eng: VirtualEngine) -> None:
    run = push(1)
    assert (run.status, due(run)) == ("DELAYED", 5)
    eng.advance(seconds=2.5)
    push(2)
    assert due(run) == 7  # 7.5, floored
    push(3, "2s")
    assert due(run) == 7
    eng.advance(seconds=4.4)
    assert run.status == "DELAYED"
    eng.advance(seconds=0.2)
    assert run.result().output == 1


def test_22_2_a_delay_of_the_trigger_is_that_of_the_first_run(eng: VirtualEngine) -> None:
    debounce = kk.Debounce("user-1", "5s")
    run = index.options(debounce=debounce, delay="1m").trigger(n=1)
    assert due(run) == 60
    index.options(debounce=debounce, delay="2m").trigger(n=2)
    assert due(run) == 60
    eng.advance(seconds=57)
    push(3)
    assert due(run) == 62


def test_22_1_a_key_is_of_its_task(eng: VirtualEngine) -> None:
    other = sync.options(debounce=kk.Debounce("user-1", "5s")).trigger(n=2)

    assert push(1).id != other.id


# ---- 22.3: trailing --------------------------------------------------------------------------------------------------


def test_22_3_trailing_has_the_data_of_the_last_trigger(stage: Stage) -> None:
    debounce = kk.Debounce("user-2", "1h", mode="trailing")
    first = index.options(debounce=debounce, tags="a", metadata={"from": 1}, max_attempts=1).trigger(n=1)
    index.options(debounce=debounce, tags="b", metadata={"from": 2}, max_attempts=3, max_duration=60).trigger(n=2)
    last = index.options(debounce=debounce).trigger(n=3)
    start(stage, last)

    assert first.id == last.id
    assert last.result(timeout=20).output == 3
    view = last.refresh()
    assert (view.payload, view.tags, view.metadata) == ({"n": 3}, ("b",), {"from": 2})
    assert (view.max_attempts, view.max_duration, view.debounce_key) == (3, 60, "user-2")


def test_22_3_a_large_payload_takes_the_place_of_another_and_of_a_small_one(stage: Stage) -> None:
    @kk.task(id=f"measure-{stage.is_virtual}".lower(), retry=None)
    async def measure(text: str) -> int:
        return len(text)

    for mode, expected in (("trailing", 7_000), ("leading", 5_000)):
        debounced = measure.options(debounce=kk.Debounce(f"texts-{mode}", "1h", mode=mode))  # type: ignore[arg-type]
        run, *_ = [debounced.trigger(text="x" * size) for size in (5_000, 10, 6_000, 7_000)]
        start(stage, run)
        assert run.result(timeout=20).output == expected
        assert len(run.refresh().payload["text"]) == expected


def test_22_3_the_machine_of_the_last_trigger_counts(eng: VirtualEngine) -> None:
    debounce = kk.Debounce("user-1", "5s", mode="trailing")
    run = index.options(debounce=debounce).trigger(n=1)
    index.options(debounce=debounce, machine="micro").trigger(n=2)

    assert run.refresh().machine == "micro"


def test_22_3_the_code_of_the_last_trigger_counts(eng: VirtualEngine) -> None:
    def define(number: int) -> Any:
        @kk.task(id="versioned", retry=None)
        async def versioned() -> int:
            return number

        return versioned

    for mode, expected in (("trailing", 2), ("leading", 1)):
        debounce = kk.Debounce(f"code-{mode}", "5s", mode=mode)  # type: ignore[arg-type]  # a loop's variable
        runs = [define(number).options(debounce=debounce).trigger() for number in (1, 2)]
        eng.advance(seconds=10)
        assert [run.result().output for run in runs] == [expected, expected]


# ---- 22.4, 22.5: the end of pushing ----------------------------------------------------------------------------------


def test_22_4_a_run_that_left_its_delay_takes_no_pushes(eng: VirtualEngine) -> None:
    started = push(1)
    eng.advance(seconds=6)
    canceled = push(2)
    canceled.cancel()
    fresh = push(3)

    assert len({started.id, canceled.id, fresh.id}) == 3
    assert push(4).id == fresh.id


def test_22_5_max_delay_leaves_the_run_at_its_moment_and_starts_another(eng: VirtualEngine) -> None:
    run = push(0, max_delay="30s")
    for _ in range(12):  # at 2, 4, … 24 s
        eng.advance(seconds=2)
        assert push(1, max_delay="30s").id == run.id
    assert due(run) == 29
    eng.advance(seconds=2)
    other = push(2, max_delay="30s")

    assert other.id != run.id
    assert (due(run), due(other)) == (29, 31)
    assert push(3).id == other.id
    eng.advance(seconds=60)
    assert (run.result().output, other.result().output) == (0, 2)


def test_22_5_max_delay_is_that_of_each_call(eng: VirtualEngine) -> None:
    run = push(0, max_delay="6s")
    eng.advance(seconds=4)

    assert push(1).id == run.id
    assert push(2, max_delay="6s").id != run.id


# ---- 22.1, 22.6: what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("debounce key", {"key": "", "delay": "5s"}),
        ("debounce key", {"key": "x" * 513, "delay": "5s"}),
        ("delay='soon'", {"key": "k", "delay": "soon"}),
        ("a moment is none", {"key": "k", "delay": datetime(2030, 1, 1, tzinfo=UTC)}),
        ("shorter than 1 s", {"key": "k", "delay": 0.5}),
        ("not longer than its delay", {"key": "k", "delay": "5s", "max_delay": "5s"}),
        ("neither 'leading' nor 'trailing'", {"key": "k", "delay": "5s", "mode": "last"}),
        ("maxDelay", {"key": "k", "delay": "5s", "maxDelay": "1m"}),
    ],
)
def test_22_6_what_will_not_do_is_refused_at_the_call(words: str, given: dict[str, Any]) -> None:
    with pytest.raises(kk.InvalidOptionError, match=words):
        kk.Debounce(**given)


def test_22_1_the_option_takes_a_debounce_only() -> None:
    with pytest.raises(kk.InvalidOptionError, match=r"kk\.Debounce\('user-123', '5s'\)"):
        index.options(debounce={"key": "k", "delay": "5s"})


# ---- 22.7, 22.9: with keys, batches, queues --------------------------------------------------------------------------


def test_22_7_idempotency_is_checked_first_and_a_hit_pushes_nothing(eng: VirtualEngine) -> None:
    both = index.options(idempotency_key="e1", debounce=kk.Debounce("user-1", "5s"))
    first = both.trigger(n=1)
    eng.advance(seconds=3)
    again = both.trigger(n=2)

    assert (again.id, again.is_cached, due(first)) == (first.id, True, 5)


def test_22_7_the_key_of_a_trigger_that_was_merged_is_held_by_the_run(eng: VirtualEngine) -> None:
    run = push(1)
    merged = index.options(idempotency_key="e2", debounce=kk.Debounce("user-1", "5s")).trigger(n=2)
    eng.advance(seconds=10)
    again = index.options(idempotency_key="e2", debounce=kk.Debounce("user-1", "5s")).trigger(n=2)

    assert run.id == merged.id == again.id
    assert (merged.is_cached, again.is_cached) == (False, True)


def test_22_2_items_of_one_batch_with_one_debounce_key_are_one_run(stage: Stage) -> None:
    batch = index.options(debounce=kk.Debounce("batch", "1s", mode="trailing")).batch_trigger(
        [{"n": n} for n in (1, 2)]
    )
    if stage.is_virtual:
        stage.engine.advance(seconds=3)

    assert len({run.id for run in batch.runs}) == 1
    assert [result.output for result in batch.result(timeout=20)] == [2, 2]


def test_22_9_a_debounced_run_waits_in_its_queue_and_keeps_the_first_callers_key(eng: VirtualEngine) -> None:
    @kk.task(queue=kk.Queue("narrow", concurrency_limit=1))
    async def narrow(seconds: float) -> None:
        await asyncio.sleep(seconds)

    narrow.options(concurrency_key="ann").trigger(seconds=60)
    debounce = kk.Debounce("user-1", "5s", mode="trailing")
    run = narrow.options(debounce=debounce, concurrency_key="ann", ttl="10s").trigger(seconds=1)
    narrow.options(debounce=debounce, concurrency_key="bob").trigger(seconds=1)
    eng.advance(seconds=6)

    assert (run.status, run.refresh().concurrency_key) == ("QUEUED", "ann")
    eng.advance(seconds=10)
    assert run.status == "EXPIRED"


def test_22_2_inside_a_run_a_pushed_trigger_has_the_earlier_runs_handle(stage: Stage) -> None:
    @kk.task(id=f"types-{stage.is_virtual}".lower(), retry=None)
    def types() -> list[str]:
        return [index.options(debounce=kk.Debounce("typing", "1h")).trigger(n=n).id for n in range(3)]

    index.register()
    found = types.trigger().result(timeout=30).unwrap()

    assert len(set(found)) == 1
    assert kk.runs.retrieve(found[0]).delay_until is not None


def test_22_2_a_run_keeps_its_push_when_the_engine_is_started_again(tmp_path: Any) -> None:
    with engine(home=tmp_path, now=START) as first:
        run = push(1)
        first.advance(seconds=3)
        push(2)
    with engine(home=tmp_path, now=START + timedelta(seconds=4)) as second:
        assert push(3).id == run.id
        second.advance(seconds=10)
        assert kk.runs.retrieve(run.id).output == 1
