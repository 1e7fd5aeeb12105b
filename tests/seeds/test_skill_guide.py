"""The guide "Build durable background tasks", example by example."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field

import kernelkit as kk
from kernelkit.testing import engine
from tests.authoring.http_server import Answer, http_server
from tests.behaviour.conftest import Stage

Json = dict[str, Any]


class Person(BaseModel):
    name: str
    email: str = Field(pattern=r"^\S+@\S+\.\S+$")


def test_basic_task(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=10, factor=1.8, min_timeout=0.5, max_timeout="30s"))
    async def process_data(user_id: str, data: list[Any]) -> Json:
        kk.logger.info(f"Processing {len(data)} items")
        return {"processed": len(data)}

    handle = process_data.trigger(user_id="123", data=[{"id": 1}])
    stage.finish()

    assert handle.result(timeout=30).output == {"processed": 1}
    stage.until(lambda: [line.text for line in handle.logs().lines] == ["Processing 1 items"])


def test_schema_task(stage: Stage) -> None:
    @kk.task
    async def validated_task(payload: Person) -> Json:
        return {"message": f"Hello {payload.name}"}

    with pytest.raises(kk.PayloadValidationError, match="email"):
        validated_task.trigger({"name": "Ada", "email": "nowhere"})
    handle = validated_task.trigger({"name": "Ada", "email": "ada@example.org"})
    by_id = kk.tasks.trigger("validated-task", {"name": "Ada", "email": "nowhere"})
    stage.finish()

    assert handle.result(timeout=30).output == {"message": "Hello Ada"}
    assert by_id.status == "FAILED"
    assert by_id.result(timeout=30).error is not None
    assert len(by_id.refresh().attempts) == 1


def test_triggering_from_anywhere(stage: Stage) -> None:
    @kk.task
    async def process(user_id: str, data: list[Any]) -> str:
        return f"{user_id}: {len(data)}"

    handle = kk.tasks.trigger("process", {"user_id": "123", "data": [{"id": 1}]})
    batch = kk.tasks.batch_trigger(
        "process", [kk.Item({"user_id": "123", "data": []}), {"user_id": "456", "data": [1, 2]}]
    )
    stage.finish()

    assert handle.result(timeout=30).output == "123: 1"
    assert [result.output for result in batch.result(timeout=30)] == ["123: 0", "456: 2"]


def test_a_queue_of_one_and_a_shared_queue_and_one_per_tenant(stage: Stage) -> None:
    email_queue = kk.Queue("email-processing", concurrency_limit=5)

    @kk.task(concurrency_limit=1)
    async def sequential_task(n: int) -> int:
        return n

    @kk.task(queue=email_queue)
    async def send_email(n: int) -> int:
        await asyncio.sleep(0.02)
        return n

    alone = sequential_task.trigger(n=1)
    emails = send_email.batch_trigger([{"n": n} for n in range(3)])
    tenant = send_email.options(queue=kk.Queue("user-7", concurrency_limit=2)).trigger(n=9)
    stage.finish()

    assert (alone.result(timeout=30).output, alone.refresh().queue) == (1, "task/sequential-task")
    assert [result.output for result in emails.result(timeout=30)] == [0, 1, 2]
    assert {run.refresh().queue for run in emails.runs} == {"email-processing"}
    assert tenant.refresh().queue == "user-7"


def test_catch_error_decides_what_follows() -> None:
    class FatalError(Exception):
        code = "FATAL_ERROR"

    with engine() as eng:

        @kk.task(
            retry=kk.Retry(max_attempts=10, factor=1.8, min_timeout=0.5, max_timeout=30),
        )
        async def resilient_task(fatal: bool) -> None:
            raise FatalError("over") if fatal else ConnectionError("later")

        @resilient_task.catch_error
        async def decide(error: BaseException, ctx: kk.Context) -> kk.OnError:
            if getattr(error, "code", "") == "FATAL_ERROR":
                raise kk.AbortTaskRunError("Cannot retry")
            return kk.OnError(retry_at=ctx.attempt.started_at + timedelta(seconds=60))

        fatal, later = resilient_task.trigger(fatal=True), resilient_task.trigger(fatal=False)
        eng.drain()

        assert fatal.status == "FAILED"
        error = fatal.refresh().error
        assert error is not None and error.message == "Cannot retry"
        assert len(fatal.refresh().attempts) == 1

        assert (later.status, len(later.refresh().attempts)) == ("QUEUED", 1)
        eng.advance(seconds=59)
        assert len(later.refresh().attempts) == 1
        eng.advance(seconds=1)
        assert len(later.refresh().attempts) == 2


def test_operations_are_tried_again_inside_an_attempt(stage: Stage) -> None:
    with http_server() as server:
        url = server.script("/api", Answer(503), Answer(429), Answer(body={"fine": True}))

        @kk.task(retries=1)
        async def calls_out() -> Json:
            calls = 0

            async def unstable() -> int:
                nonlocal calls
                calls += 1
                if calls < 3:
                    raise ConnectionError("unstable")
                return calls

            tries = await kk.retry.on_throw(unstable, max_attempts=3, min_timeout=0.01)
            response = await kk.retry.fetch(
                url,
                retry={
                    "max_attempts": 5,
                    "condition": lambda response, error: (
                        response is not None and (response.status_code == 429 or response.status_code >= 500)
                    ),
                },
            )
            return {"tries": tries, "response": response.json()}

        run = calls_out.trigger()
        stage.finish()

        assert run.result(timeout=60).output == {"tries": 3, "response": {"fine": True}}
        assert len(run.refresh().attempts) == 1
        assert server.retry_counts("/api") == ["0", "1", "2"]


def test_metadata_tells_progress(stage: Stage) -> None:
    @kk.task
    async def batch_processor(items: list[int]) -> None:
        kk.metadata.set("progress", 0).set("total", len(items))
        for n, _ in enumerate(items, 1):
            kk.metadata.set("progress", n / len(items) * 100)
        kk.metadata.set("status", "completed")

    run = batch_processor.trigger(items=[1, 2, 3, 4])
    stage.finish()

    assert run.result(timeout=30).ok
    assert run.refresh().metadata == {"progress": 100.0, "total": 4, "status": "completed"}


def test_tags_are_given_at_the_trigger_and_by_the_body(stage: Stage) -> None:
    @kk.task
    async def process_user(user_id: str) -> None:
        kk.tags.add(f"user_{user_id}")

    run = process_user.options(tags=["priority", "user_123"]).trigger(user_id="456")
    stage.finish()

    assert run.result(timeout=30).ok
    assert run.refresh().tags == ("priority", "user_123", "user_456")
    assert [found.id for found in kk.runs.list(tag="user_456")] == [run.id]


@pytest.mark.parametrize(
    ("payload", "words"),
    [({"user_id": "1"}, "data"), ({"user_id": "1", "data": 3}, "list"), ({"user": 1, "data": []}, "user")],
)
def test_a_payload_that_does_not_fit_is_refused_where_it_is_triggered(stage: Stage, payload: Json, words: str) -> None:
    @kk.task
    async def strict(user_id: str, data: list[Any]) -> None: ...

    with pytest.raises(kk.PayloadValidationError, match=words):
        strict.trigger(**payload)


def test_rapid_triggers_become_one_run_with_the_latest_payload() -> None:
    with engine() as eng:

        @kk.task
        async def my_task(user_id: str, n: int) -> int:
            return n

        runs = []
        for n in range(5):
            often = my_task.options(debounce=kk.Debounce(key="user-123-update", delay="5s", mode="trailing"))
            runs.append(often.trigger(user_id="123", n=n))
            eng.advance(seconds=3)
        assert {run.id for run in runs} == {runs[0].id}
        assert runs[0].status == "DELAYED"
        eng.advance(seconds=3)
        assert runs[0].result(timeout=10).output == 4
        assert len(runs[0].refresh().attempts) == 1


def test_an_idempotency_key_keeps_a_retried_parent_from_charging_twice(stage: Stage) -> None:
    @kk.task
    async def charge_customer(order_id: str) -> str:
        return f"charged {order_id}"

    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.05, randomize=False))
    async def process_payment(order_id: str, ctx: kk.Context) -> str:
        key = kk.idempotency_keys.create(f"payment-{order_id}")
        charged = charge_customer.options(idempotency_key=key, idempotency_key_ttl="24h").trigger(order_id=order_id)
        if ctx.attempt.number == 1:
            raise ConnectionError("after the charge")
        return charged.id

    first, second = process_payment.trigger(order_id="A1"), process_payment.trigger(order_id="A1")
    stage.finish()

    charged = [kk.runs.retrieve(run.result(timeout=30).unwrap()).id for run in (first, second)]
    assert [len(run.refresh().attempts) for run in (first, second)] == [2, 2]
    found = kk.runs.list(task="charge-customer", parent=[first, second])
    assert sorted(run.id for run in found) == sorted(charged), "one charge for each of the two runs"
    assert {run.output for run in found} == {"charged A1"}


def test_a_machine_is_told_at_definition_or_at_the_trigger(stage: Stage) -> None:
    @kk.task(machine="small-2x", max_duration=1800)
    async def heavy_computation() -> tuple[str, float]:
        machine = kk.ctx.machine
        assert machine is not None
        return machine.name, machine.memory

    run, larger = heavy_computation.trigger(), heavy_computation.options(machine="medium-1x").trigger()
    stage.finish()

    assert run.result(timeout=60).output == ("small-2x", 1.0)
    assert larger.result(timeout=60).unwrap()[0] == "medium-1x"
    assert (run.refresh().machine, run.refresh().max_duration) == ("small-2x", 1800)
