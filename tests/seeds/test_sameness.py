"""The examples "Debouncing" and "Idempotency" of the guide "Build durable background tasks"."""

from __future__ import annotations

from typing import Any

import kernelkit as kk
from tests.behaviour.conftest import Stage


def test_debouncing(stage: Stage) -> None:
    @kk.task
    async def my_task(user_id: str, n: int) -> int:
        return n

    debounce = kk.Debounce(key="user-123-update", delay="5m", mode="trailing")
    runs = [my_task.options(debounce=debounce).trigger(user_id="123", n=n) for n in range(3)]
    runs[0].reschedule(delay=0)  # instead of the five minutes
    stage.finish()

    assert len({run.id for run in runs}) == 1
    assert runs[0].result(timeout=30).output == 2


def test_idempotency(stage: Stage) -> None:
    @kk.task
    async def charge_customer(order_id: str) -> str:
        return f"charged {order_id}"

    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.1, randomize=False))
    async def process_payment(payload: dict[str, Any]) -> str:
        key = kk.idempotency_keys.create(f"payment-{payload['order_id']}")
        run = charge_customer.options(idempotency_key=key, idempotency_key_ttl="24h").trigger(payload)
        await run.stored()
        if kk.ctx.attempt.number == 1:
            raise ConnectionError("after the charge")
        return run.id

    charge_customer.register()
    payment = process_payment.trigger({"order_id": "17"})
    stage.finish()
    charge_id = payment.result(timeout=30).unwrap()

    assert len(payment.refresh().attempts) == 2
    assert [run.id for run in kk.runs.list(task="charge-customer", parent=payment)] == [charge_id]
