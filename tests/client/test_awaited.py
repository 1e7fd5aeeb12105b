"""The awaited verbs of `AsyncClient` are those of `Client`, no more and no less."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.authoring.hooks import Hooked

FAMILIES = ["runs", "tasks", "batch", "queues", "schedules", "tokens", "streams", "idempotency_keys", "engine"]
# These need no engine (kk.schedules.preview(…)), define something, or only make sense inside a run.
PLAIN = {
    "schedules": {"task", "preview", "timezones"},
    "idempotency_keys": {"create"},
    "tasks": {"trigger_and_wait", "batch_trigger_and_wait"},
    "batch": {"trigger_and_wait"},
    "streams": {"define", "input", "pipe", "read"},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_verb_of_a_client_can_be_awaited(family: str, tmp_path: Path) -> None:
    plain = getattr(kk.Client(tmp_path / ".kernelkit"), family)
    awaited = getattr(kk.AsyncClient(tmp_path / ".kernelkit"), family)

    verbs = {name for name, member in inspect.getmembers(type(plain), inspect.isfunction) if not name.startswith("_")}
    if isinstance(plain, Hooked):
        verbs -= set(vars(Hooked))
    assert set(vars(awaited)) == verbs - PLAIN.get(family, set())
    for name in vars(awaited):
        assert inspect.iscoroutinefunction(getattr(awaited, name))
        assert inspect.signature(getattr(awaited, name)) == inspect.signature(getattr(plain, name))


def test_a_client_has_every_family_that_kk_has(tmp_path: Path) -> None:
    client = kk.Client(tmp_path / ".kernelkit")

    for family in FAMILIES:
        assert type(getattr(client, family)) is type(getattr(kk, family))


def test_a_refusal_comes_out_of_the_await(tmp_path: Path) -> None:
    async def story() -> None:
        client = kk.AsyncClient(tmp_path / ".kernelkit")
        with pytest.raises(kk.EngineUnavailableError):
            await client.engine.status()
        with pytest.raises(kk.InvalidOptionError, match="takes one of"):
            async for _ in client.subscribe():
                raise AssertionError
        await client.close()

    asyncio.run(story())
