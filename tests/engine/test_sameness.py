"""Keys, debounce and answers in the engine: what is held, for how long, and what of it is on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelkit.config import EngineSettings
from kernelkit.engine import commands as c
from kernelkit.engine.state import State
from kernelkit.errors import UnknownKeyError
from kernelkit.models.sameness import Answer, DebounceUse, KeyUse
from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from tests.engine.fixtures import Bench
from tests.engine.samples import SECOND, Engine, item
from tests.engine.yard import Yard, succeeded

DAY = 86_400
LARGE = 5_000


def key(name: str = "order-1", ttl_s: float = 30.0 * DAY) -> KeyUse:
    return KeyUse(name, ttl_s, name)


def typing(**changes: float | bool) -> DebounceUse:
    return DebounceUse("typing", **{"delay_s": 5.0, **changes})  # type: ignore[arg-type]  # fields of it


def large(letter: str) -> Value:
    return Value(text=f'"{letter * LARGE}"', size=LARGE + 2)


def values_on_disk(bench: Bench) -> set[str]:
    return {ref for ref in bench.store.values([f"run_{n}:payload" for n in range(9)])}


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_is_held_as_16_bytes_also_when_its_run_is_over() -> None:
    engine = Engine()
    engine.trigger(item("run_1", key=key()))
    engine.succeed("run_1")

    assert [len(digest) for digest in engine.state.keys] == [16]
    assert engine.trigger(item("run_2", key=key())) == ["TriggerAnswered"]
    assert engine.state.answers["run_2"] == Answer("run_1", is_cached=True)


def test_a_set_back_clock_does_not_end_a_key_before_its_time() -> None:
    engine = Engine()
    engine.pass_time(0)
    engine.now -= 3_600 * SECOND
    engine.trigger(item("run_1", key=key(ttl_s=60.0)))
    engine.now += 30 * SECOND

    assert engine.trigger(item("run_2", key=key())) == ["TriggerAnswered"]


def test_keys_whose_time_is_over_are_dropped_now_and_then() -> None:
    engine = Engine()
    for number in range(999):
        engine.trigger(item(f"run_{number}", key=key(f"k{number}", ttl_s=1.0)))
    engine.now += 2 * SECOND
    engine.trigger(item("run_last", key=key("last")))

    assert len(engine.state.keys) == 1
    assert engine.state.sweep_keys_at == 1_002


def test_only_the_latest_answers_are_remembered() -> None:
    engine = Engine()
    engine.trigger(item("run_1", key=key()))
    for batch in range(21):
        engine.trigger(*(item(f"run_{batch}_{number}", key=key()) for number in range(1_000)))

    assert 10_000 <= len(engine.state.answers) <= 20_000
    assert "run_20_999" in engine.state.answers


def test_a_snapshot_holds_keys_answers_and_targets() -> None:
    engine = Engine()
    engine.trigger(item("run_1", key=key()), item("run_2", key=key()), item("run_3", debounce=typing()))

    again = State.load(engine.state.dump())

    assert (again.keys, again.answers) == (engine.state.keys, engine.state.answers)
    assert again.debounced == {("resize", "typing"): "run_3"}


def test_every_key_of_a_run_is_freed_by_its_failure() -> None:
    engine = Engine()
    engine.trigger(item("run_1", debounce=typing(), key=key("a")))
    engine.trigger(item("run_2", debounce=typing(), key=key("b")))
    engine.pass_time(10)
    engine.fail("run_1", retry=False)

    assert engine.trigger(item("run_3", key=key("a")))[0] == "RunTriggered"
    assert engine.trigger(item("run_4", key=key("b")))[0] == "RunTriggered"


def test_a_refused_item_of_a_batch_holds_no_key() -> None:
    engine = Engine()
    engine.trigger(item("run_1", key=key(), queue="nowhere"), item("run_2", key=key()))

    assert engine.run("run_2").key == key()
    assert engine.trigger(item("run_3", key=key())) == ["TriggerAnswered"]
    assert engine.state.answers["run_3"].run_id == "run_2"


def test_a_key_that_nobody_holds_is_not_reset() -> None:
    engine = Engine()
    engine.trigger(item("run_1", key=key(ttl_s=1.0)))
    engine.now += 2 * SECOND

    with pytest.raises(UnknownKeyError, match="'order-1'"):
        engine.take(c.ResetKey("resize", "order-1", "order-1", "ask_1"))


def test_a_key_outlives_the_retention_of_its_run() -> None:
    bench = Bench()
    bench.trigger("run_1", key=key(ttl_s=90.0 * DAY))
    bench.settle()
    bench.report("run_1", succeeded())
    bench.core.snapshot()
    bench.settle()
    bench.core.snapshot()
    bench.settle()
    bench.clock.moment += 40 * DAY * SECOND

    assert bench.store.retain(bench.clock.moment, EngineSettings())["runs"] == 1
    bench = bench.again()
    bench.trigger("run_2", key=key())

    assert bench.core.state.answers["run_2"].run_id == "run_1"
    assert not bench.core.state.runs


# ---- values ----------------------------------------------------------------------------------------------------------


def test_the_payload_of_a_trigger_that_made_no_run_is_not_stored() -> None:
    bench = Bench()
    bench.trigger("run_1", key=key(), payload=large("a"))
    bench.trigger("run_2", key=key(), payload=large("b"))
    bench.trigger("run_3", debounce=typing(), payload=large("c"))
    bench.trigger("run_4", debounce=typing(), payload=large("d"))
    bench.settle()

    assert values_on_disk(bench) == {"run_1:payload", "run_3:payload"}


def test_a_payload_that_another_took_the_place_of_is_removed_also_after_a_crash() -> None:
    bench = Bench()
    for number in (1, 2, 3):
        bench.trigger(f"run_{number}", debounce=typing(trailing=True), payload=large(str(number)))
    bench.settle()
    bench = bench.again()
    bench.core.flush_history()
    bench.settle()

    assert values_on_disk(bench) == {"run_3:payload"}
    assert bench.core.read_run("run_1")().payload_json == large("3").text


# ---- inside a run ----------------------------------------------------------------------------------------------------


def test_a_report_that_is_sent_again_is_acked_with_the_same_answer(tmp_path: Path) -> None:
    yard = Yard(tmp_path, set())
    wire = yard.begin()
    yard.trigger("run_kept", key=key())
    yard.settle()
    child = m.ChildTrigger((item("run_child", key=key()), item("run_own")), "trigger:1")

    yard.says("w1", child, seq=1)
    yard.says("w1", child, seq=1)
    found = [ack.matches for ack in wire.of(m.Ack) if ack.matches]

    assert [[(match.asked, match.run_id, match.is_cached) for match in matches] for matches in found] == [
        [("run_child", "run_kept", True)]
    ] * 2
    assert "run_own" in yard.core.state.runs
