"""§21: a key makes a trigger happen once, until its time is over or its run has failed."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from datetime import timedelta
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.authoring.handle import RunHandle
from kernelkit.client.client import Client
from kernelkit.testing import VirtualEngine, engine
from tests.behaviour.conftest import Stage


@kk.task(retry=None)
async def charge(n: int = 0, fail: bool = False) -> int:
    if fail:
        raise ValueError("no money")
    return n


@kk.task(retry=None)
async def refund(n: int = 0) -> int:
    return n


@kk.task(retry=None)
async def pay_async(key: str, scope: Any = "run") -> dict[str, Any]:
    made = kk.idempotency_keys.create(key, scope=scope)
    first = charge.options(idempotency_key=made).trigger(n=1)
    second = charge.options(idempotency_key=made).trigger(n=2)
    await first.stored()
    await second.stored()
    return {"ids": [first.id, second.id], "cached": [first.is_cached, second.is_cached]}


@kk.task(retry=None)
def pay(key: str) -> dict[str, Any]:
    first = charge.options(idempotency_key=key).trigger(n=1)
    second = charge.options(idempotency_key=key).trigger(n=2)
    return {"ids": [first.id, second.id], "cached": [first.is_cached, second.is_cached]}


def keyed(key: Any, **options: Any) -> RunHandle[int]:
    return charge.options(idempotency_key=key, **options).trigger(n=1)


# ---- 21.1, 21.5: what a key is of, and what a second trigger gives ---------------------------------------------------


def test_21_5_a_second_trigger_with_a_key_gives_the_first_run_whatever_its_state(stage: Stage) -> None:
    first = charge.options(idempotency_key="order-1", delay="1h").trigger(n=1)
    second = charge.options(idempotency_key="order-1").trigger(n=2)
    first.reschedule(delay=0)
    if stage.is_virtual:
        stage.engine.drain()
    assert second.result(timeout=20).output == 1
    third = charge.options(idempotency_key="order-1").trigger(n=3)

    assert (first.is_cached, second.is_cached, third.is_cached) == (False, True, True)
    assert first.id == second.id == third.id
    assert third.result(timeout=20).output == 1


def test_21_1_the_same_key_on_another_task_is_another_key(stage: Stage) -> None:
    one = charge.options(idempotency_key="both").trigger()
    other = refund.options(idempotency_key="both").trigger()

    assert not other.is_cached
    assert one.id != other.id


def test_21_2_parts_are_joined_and_scopes_outside_a_run_are_all_the_project(kk_engine: VirtualEngine) -> None:
    keys = [kk.idempotency_keys.create(["a", "b"], scope=scope) for scope in ("run", "attempt", "global")]

    assert {key.hash for key in keys} == {hashlib.sha256(b"a-b").hexdigest()}
    assert [key.scope for key in keys] == ["global"] * 3
    assert keyed(["a", "b"]).id == keyed("a-b").id == keyed(keys[0]).id


def test_21_3_a_text_of_64_characters_is_a_text(kk_engine: VirtualEngine) -> None:
    key = kk.idempotency_keys.create("x")

    assert keyed(key).id != keyed(key.hash).id


@pytest.mark.parametrize("bad", ["", [], ["a", ""], 7, "x" * 2049, {"a": 1}])
def test_21_4_a_key_that_is_none_is_refused_at_the_call(bad: Any) -> None:
    with pytest.raises(kk.InvalidOptionError, match="idempotency_key"):
        charge.options(idempotency_key=bad)
    with pytest.raises(kk.InvalidOptionError, match="key"):
        kk.idempotency_keys.create(bad)


@pytest.mark.parametrize("bad", ["soon", "1.5h", -1, 0, "1d1d"])
def test_21_4_a_ttl_that_is_none_is_refused_at_the_call(bad: Any) -> None:
    with pytest.raises(kk.InvalidDurationError, match="idempotency_key_ttl"):
        charge.options(idempotency_key="x", idempotency_key_ttl=bad)


def test_21_4_a_ttl_without_a_key_is_refused(kk_engine: VirtualEngine) -> None:
    with pytest.raises(kk.InvalidOptionError, match="without an idempotency_key"):
        charge.options(idempotency_key_ttl="1h").trigger()


# ---- 21.3: inside a run ----------------------------------------------------------------------------------------------


def test_21_3_inside_a_run_a_text_is_a_key_of_that_run(stage: Stage) -> None:
    charge.register()
    before = charge.options(idempotency_key="rent").trigger(n=9)
    one, other = pay.trigger(key="rent"), pay.trigger(key="rent")
    first, second = one.result(timeout=30).unwrap(), other.result(timeout=30).unwrap()

    assert first["cached"] == second["cached"] == [False, True]
    assert first["ids"][0] == first["ids"][1] != second["ids"][0] == second["ids"][1]
    assert before.id not in (*first["ids"], *second["ids"])
    stage.until(lambda: len(kk.runs.list(task="charge", parent=one)) == 1)


def test_21_5_a_handle_inside_an_async_run_becomes_that_of_the_earlier_run(stage: Stage) -> None:
    charge.register()
    earlier = charge.options(idempotency_key="salary").trigger(n=1)
    run = pay_async.trigger(key="salary", scope="global")

    assert run.result(timeout=30).unwrap() == {"ids": [earlier.id, earlier.id], "cached": [True, True]}


def test_21_2_an_attempts_key_is_another_in_the_next_attempt_and_a_runs_is_not(kk_engine: VirtualEngine) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=1))
    def twice(scope: Any) -> list[str]:
        run = charge.options(idempotency_key=kk.idempotency_keys.create("x", scope=scope)).trigger()
        kk.metadata.append("ids", run.id)
        if kk.ctx.attempt.number == 1:
            raise ValueError("again")
        found: list[str] = kk.metadata.get("ids")
        return found

    charge.register()
    kept, fresh = twice.trigger(scope="run"), twice.trigger(scope="attempt")
    kk_engine.advance(minutes=1)

    assert len(set(kept.result().unwrap())) == 1
    assert len(set(fresh.result().unwrap())) == 2


def test_21_5_before_the_answer_an_async_run_has_a_name_that_the_engine_knows(real: Any) -> None:
    @kk.task(retry=None)
    async def named_early() -> dict[str, Any]:
        run = charge.options(idempotency_key=kk.idempotency_keys.create("early", scope="global")).trigger(n=2)
        name, said = run.id, ""
        try:
            said = str(run.is_cached)
        except kk.KernelKitError as refused:
            said = str(refused)
        await run.stored()
        return {"name": name, "id": run.id, "said": said}

    with callers.use(real.caller):
        earlier = charge.options(idempotency_key="early").trigger(n=1)
        told = named_early.trigger().result(timeout=30).unwrap()

        assert told["id"] == earlier.id != told["name"]
        assert "await run.stored()" in told["said"]
        assert kk.runs.retrieve(told["name"]).id == earlier.id


# ---- 21.6: freed -----------------------------------------------------------------------------------------------------


def test_21_6_a_key_is_freed_by_its_time(kk_engine: VirtualEngine) -> None:
    short, usual = keyed("short", idempotency_key_ttl="1h"), keyed("usual")
    kk_engine.advance(minutes=59)
    assert keyed("short").id == short.id
    kk_engine.advance(minutes=2)

    assert keyed("short").id != short.id
    kk_engine.advance(hours=24 * 29)
    assert keyed("usual").id == usual.id
    kk_engine.advance(hours=24)
    assert keyed("usual").id != usual.id


def test_21_6_a_key_is_freed_by_failure_and_kept_by_success_and_cancel(stage: Stage) -> None:
    failed = charge.options(idempotency_key="f").trigger(fail=True)
    done = charge.options(idempotency_key="d").trigger()
    canceled = charge.options(idempotency_key="c", delay="1h").trigger()
    canceled.cancel()
    assert failed.result(timeout=20).ok is False
    assert done.result(timeout=20).ok

    assert charge.options(idempotency_key="d").trigger().id == done.id
    assert charge.options(idempotency_key="c").trigger().id == canceled.id
    again = charge.options(idempotency_key="f").trigger()
    assert (again.is_cached, again.id != failed.id) == (False, True)
    assert charge.options(idempotency_key="f").trigger().id == again.id


def test_21_6_a_key_is_freed_by_expiry_and_by_a_time_out(kk_engine: VirtualEngine) -> None:
    @kk.task(queue=kk.Queue("till", concurrency_limit=1))
    async def slow(seconds: float) -> None:
        await asyncio.sleep(seconds)

    slow.trigger(seconds=60)
    expired = slow.options(idempotency_key="e", ttl="5s").trigger(seconds=1)
    kk_engine.advance(seconds=90)
    timed_out = slow.options(idempotency_key="t", max_duration=5).trigger(seconds=60)
    kk_engine.advance(seconds=30)

    assert (expired.status, timed_out.status) == ("EXPIRED", "TIMED_OUT")
    assert slow.options(idempotency_key="e").trigger(seconds=1).id != expired.id
    assert slow.options(idempotency_key="t").trigger(seconds=1).id != timed_out.id


# ---- 21.7: at once ---------------------------------------------------------------------------------------------------


def test_21_7_a_hundred_triggers_at_once_from_several_clients_make_one_run(stage: Stage) -> None:
    caller = stage.engine.caller
    others = [] if stage.is_virtual else [Client(caller.home, start=False) for _ in range(4)]
    charge.register()
    together = threading.Barrier(100)
    found: list[RunHandle[int]] = []

    def trigger(number: int) -> None:
        with callers.use(others[number % 4] if others else caller):
            together.wait(30)
            found.append(charge.options(idempotency_key="rush").trigger(n=number))

    threads = [threading.Thread(target=trigger, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (len(found), len({run.id for run in found})) == (100, 1)
    assert sum(not run.is_cached for run in found) == 1
    for other in others:
        other.close()


# ---- 21.8: reset -----------------------------------------------------------------------------------------------------


def test_21_8_a_key_that_is_reset_makes_a_new_run(stage: Stage) -> None:
    first = charge.options(idempotency_key="again").trigger()
    kk.idempotency_keys.reset("charge", "again")
    second = charge.options(idempotency_key="again").trigger()

    assert first.id != second.id
    kk.idempotency_keys.reset(charge, kk.idempotency_keys.create("again"))
    with pytest.raises(kk.UnknownKeyError, match="No run of 'charge' holds the idempotency key 'again'"):
        kk.idempotency_keys.reset(charge, "again")


def test_21_8_the_key_of_a_run_is_reset_from_outside_by_that_run(kk_engine: VirtualEngine) -> None:
    charge.register()
    run = pay.trigger(key="rent")
    kk_engine.drain()
    with pytest.raises(kk.InvalidOptionError, match="parent_run_id="):
        kk.idempotency_keys.reset(charge, "rent", scope="run")
    with pytest.raises(kk.InvalidOptionError, match="attempt_number"):
        kk.idempotency_keys.reset(charge, "rent", scope="attempt", parent_run_id=run.id)
    with pytest.raises(kk.InvalidOptionError, match="scope='day'"):
        kk.idempotency_keys.create("rent", scope="day")  # type: ignore[arg-type]  # what a person may type

    kk.idempotency_keys.reset(charge, "rent", parent_run_id=run.id)
    with pytest.raises(kk.UnknownKeyError):
        kk.idempotency_keys.reset(charge, "rent", parent_run_id=run.id)


def test_21_8_a_run_resets_a_key_itself(stage: Stage) -> None:
    @kk.task(id=f"pays-twice-{stage.is_virtual}".lower(), retry=None)
    def pays_twice() -> list[str]:
        first = charge.options(idempotency_key="x").trigger()
        kk.idempotency_keys.reset("charge", "x")
        return [first.id, charge.options(idempotency_key="x").trigger().id]

    charge.register()
    first, second = pays_twice.trigger().result(timeout=30).unwrap()

    assert first != second


# ---- 21.9: shown -----------------------------------------------------------------------------------------------------


def test_21_9_run_and_context_show_the_key_as_it_was_written(stage: Stage) -> None:
    @kk.task(id=f"shows-key-{stage.is_virtual}".lower())
    async def shows_key(ctx: kk.Context) -> list[str | None]:
        return [ctx.run.idempotency_key, ctx.run.idempotency_key_scope]

    run = shows_key.options(idempotency_key=["order", "17"]).trigger()

    assert run.result(timeout=20).output == ["order-17", "global"]
    assert (run.refresh().idempotency_key, run.refresh().idempotency_key_scope) == ("order-17", "global")
    assert shows_key.trigger().result(timeout=20).output == [None, None]


# ---- 15.5: batches ---------------------------------------------------------------------------------------------------


def test_15_5_a_batchs_key_becomes_one_of_each_item_and_an_items_own_goes_before_it(stage: Stage) -> None:
    items = [{"n": 0}, {"n": 1}, kk.Item({"n": 2}, idempotency_key="mine")]
    first = charge.options(idempotency_key="batch").batch_trigger(items)
    second = charge.options(idempotency_key="batch").batch_trigger(items)
    mine = charge.options(idempotency_key="mine").trigger()

    assert len({run.id for run in first.runs}) == 3
    assert [run.id for run in first.runs] == [run.id for run in second.runs]
    assert [run.is_cached for run in second.runs] == [True, True, True]
    assert mine.id == first.runs[2].id
    assert [result.output for result in second.result(timeout=30)] == [0, 1, 2]
    assert [run.id for run in kk.batch.retrieve(second.id).runs] == [run.id for run in first.runs]
    assert second.counts == {"COMPLETED": 3}


def test_15_5_items_of_one_batch_with_one_key_are_one_run(stage: Stage) -> None:
    batch = charge.batch_trigger([kk.Item({"n": n}, idempotency_key="same") for n in range(3)])

    assert len({run.id for run in batch.runs}) == 1
    assert [run.is_cached for run in batch.runs] == [False, True, True]
    assert [result.output for result in batch.result(timeout=20)] == [0, 0, 0]


# ---- what is kept ----------------------------------------------------------------------------------------------------


def test_21_4_a_key_outlives_its_engine(tmp_path: Any) -> None:
    with engine(home=tmp_path) as eng:
        first = keyed("long", idempotency_key_ttl="90d")
        keyed("short", idempotency_key_ttl="1d")
        eng.advance(seconds=1)
        later = eng.now + timedelta(days=80)

    with engine(home=tmp_path, now=later):
        assert keyed("long").id == first.id
        assert not keyed("short").is_cached
