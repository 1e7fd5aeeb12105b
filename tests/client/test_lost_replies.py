"""A client whose engine dies between commit and reply asks again, and nothing happens twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kernelkit as kk
from kernelkit.client.client import Client
from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.errors import UnknownKeyError
from kernelkit.models.run import RunStatus
from kernelkit.models.sameness import DebounceUse
from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from tests.client.lossy_engine import LossyEngine


@pytest.fixture
def lossy(home: Home) -> Iterator[LossyEngine]:
    made = LossyEngine(home)
    yield made
    made.close()


@pytest.fixture
def client(lossy: LossyEngine) -> Iterator[Client]:
    made = Client(lossy.home, start=False, patience_s=20)
    with made.use():
        job.register()
        yield made
    made.close()


@kk.task
async def job(n: int = 0, text: str = "") -> int:
    return n


def test_a_trigger_makes_one_run_and_its_handle_is_of_that(client: Client, lossy: LossyEngine) -> None:
    lossy.dies_after = m.Trigger

    run = job.trigger(n=1)

    assert lossy.deaths == 1
    assert lossy.kinds().count("RunTriggered") == 1
    assert client.runs.retrieve(run.id).payload == {"n": 1}


def test_a_trigger_whose_run_is_over_by_then_makes_no_other(client: Client, lossy: LossyEngine) -> None:
    lossy.dies_after = m.Trigger

    def meanwhile() -> None:
        lossy.fail(next(iter(lossy.bench.core.state.runs)))
        lossy.forget()

    lossy.meanwhile = meanwhile
    run = job.trigger(n=1)

    assert lossy.kinds().count("RunTriggered") == 1
    assert run.status == RunStatus.FAILED


def test_a_trigger_by_key_is_answered_as_it_was_though_its_key_is_free_by_then(
    client: Client, lossy: LossyEngine
) -> None:
    first = job.options(idempotency_key="k").trigger(n=1)
    lossy.dies_after = m.Trigger
    lossy.meanwhile = lambda: lossy.fail(first.id)

    again = job.options(idempotency_key="k").trigger(n=2)

    assert (lossy.deaths, again.id, again.is_cached) == (1, first.id, True)
    assert lossy.kinds().count("RunTriggered") == 1
    assert job.options(idempotency_key="k").trigger(n=3).id != first.id


def test_a_batch_is_made_once_with_its_errors_and_its_cached_runs(client: Client, lossy: LossyEngine) -> None:
    earlier = job.options(idempotency_key="k").trigger(n=0)
    items = [{"n": 1}, kk.Item({"n": 2}, idempotency_key="k"), kk.Item({"n": 3}, queue="nowhere")]
    lossy.dies_after = m.Trigger

    batch = job.batch_trigger(items)

    assert lossy.deaths == 1
    assert (lossy.kinds().count("RunTriggered"), lossy.kinds().count("BatchMade")) == (2, 1)
    assert batch.runs[1].id == earlier.id
    assert [run.is_cached for run in batch.runs] == [False, True, False]
    assert [problem.index for problem in batch.errors] == [2]


def test_a_batch_in_parts_is_made_once(client: Client, lossy: LossyEngine) -> None:
    lossy.dies_after = m.BatchSeal

    batch = job.batch_trigger([{"n": n, "text": "x" * 300_000} for n in range(4)])

    assert lossy.deaths == 1
    assert (len(batch), lossy.kinds().count("RunTriggered")) == (4, 4)
    assert [client.runs.retrieve(run.id).payload["n"] for run in batch.runs] == [0, 1, 2, 3]


def test_a_cancel_cancels_once(client: Client, lossy: LossyEngine) -> None:
    run = job.options(delay="1h").trigger(n=1)
    lossy.dies_after = m.Cancel

    assert run.cancel("not needed").status == RunStatus.CANCELED

    assert lossy.deaths == 1
    assert lossy.kinds().count("RunCanceled") == 1


def test_a_reschedule_moves_once_also_when_the_run_has_started_by_then(client: Client, lossy: LossyEngine) -> None:
    run = job.options(delay="1h").trigger(n=1)
    lossy.dies_after = m.Reschedule

    def meanwhile() -> None:
        lossy.bench.clock.moment += 2_000_000
        lossy.take(c.Tick())

    lossy.meanwhile = meanwhile
    moved = run.reschedule(delay=1)

    assert lossy.deaths == 1
    assert lossy.kinds().count("RunRescheduled") == 1
    assert moved.status == RunStatus.DEQUEUED


def test_a_retry_without_the_rest_of_its_backoff_comes_once(client: Client, lossy: LossyEngine) -> None:
    run = job.trigger(n=1)
    lossy.fail(run.id, retried=True)
    lossy.dies_after = m.RetryNow

    told = run.retry_now()

    assert lossy.deaths == 1
    assert lossy.kinds().count("RetryDue") == 1
    assert (told.id, told.retry_at) == (run.id, None)


def test_a_key_is_reset_once_and_not_refused_the_second_time(client: Client, lossy: LossyEngine) -> None:
    first = job.options(idempotency_key="k").trigger(n=1)
    lossy.dies_after = m.ResetKey

    kk.idempotency_keys.reset(job, "k")

    assert lossy.deaths == 1
    assert lossy.kinds().count("KeyCleared") == 1
    assert job.options(idempotency_key="k").trigger(n=2).id != first.id
    kk.idempotency_keys.reset(job, "k")
    with pytest.raises(UnknownKeyError):
        kk.idempotency_keys.reset(job, "k")


def test_a_push_sent_again_does_not_take_the_place_of_what_came_after_it(client: Client, lossy: LossyEngine) -> None:
    debounced = job.options(debounce=kk.Debounce("user-1", "1h", mode="trailing"))
    run = debounced.trigger(n=1)
    due = run.refresh().delay_until
    lossy.dies_after = m.Trigger

    def meanwhile() -> None:  # another client is quicker
        lossy.bench.clock.moment += 5_000_000
        newer = Value(text='{"n": 3}', size=8)
        rule = DebounceUse("user-1", 3_600.0, trailing=True)
        lossy.take(c.TriggerRuns((m.TriggerItem("run_other", "job", newer, debounce=rule),)))

    lossy.meanwhile = meanwhile
    again = debounced.trigger(n=2)

    assert (lossy.deaths, again.id) == (1, run.id)
    assert lossy.kinds().count("RunDebounced") == 2
    view = run.refresh()
    assert view.payload == {"n": 3}
    assert due is not None and view.delay_until is not None
    assert (view.delay_until - due).total_seconds() == 5


def test_a_definition_makes_one_version(client: Client, lossy: LossyEngine) -> None:
    @kk.task
    async def fresh() -> None: ...

    lossy.dies_after = m.DefineTask
    fresh.register()

    assert lossy.deaths == 1
    assert fresh.version is not None and fresh.version.endswith(".1")
    assert [task.versions for task in kk.tasks.list() if task.spec.id == "fresh"] == [(fresh.version,)]
