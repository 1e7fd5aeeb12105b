"""Options of tasks (§2) and of triggers (§14): what is taken, and the words for what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine


async def body(n: int = 0) -> int:
    return n


def other(n: int = 0) -> int:
    return -n


WRONG_ON_A_TASK: list[tuple[dict[str, Any], str]] = [
    ({"id": ""}, "id='' is not a task id. It starts with a letter or digit"),
    ({"id": "a b"}, "is not a task id"),
    ({"id": "x" * 129}, "up to 128 characters"),
    ({"id": kk.task(body)}, "is a task. Give its id, 'body'"),
    ({"description": 5}, "description=5 is not text"),
    ({"description": "\udcff"}, "half a character"),
    ({"retry": {}}, r"retry=\{\} is not a kk.Retry"),
    ({"retry": 3}, "write retries=3"),
    ({"retry": True}, "nor None for one attempt"),
    ({"retry": 0}, "nor None for one attempt"),
    ({"retry": kk.Retry(), "retries": 2}, "say the same thing twice"),
    ({"retries": 0}, "It counts the first attempt; 1 means no retry"),
    ({"retries": 251}, "from 1 to 250"),
    ({"queue": {"name": "a"}}, r"or kk.Queue\(name, concurrency_limit=n\)"),
    ({"queue": "a b"}, "queue='a b' is not a queue"),
    ({"queue": kk.Queue("a", concurrency_limit=2), "concurrency_limit": 3}, "contradict each other. Give one"),
    ({"concurrency_limit": -1}, "is not a whole number from 0"),
    ({"machine": "large"}, "machine='large' is not a machine preset"),
    ({"machine": "micro", "isolation": "shared"}, "contradict each other"),
    ({"isolation": "thread"}, "Give 'process'"),
    ({"max_duration": 0}, "For no limit give kk.NO_TIMEOUT"),
    ({"ttl": "soon"}, "ttl='soon' is not a duration"),
    ({"tags": 5}, "is not a text or a list of texts"),
    ({"replace": "yes"}, "replace='yes' is not True or False"),
    ({"maxDuration": 5}, "Did you mean 'max_duration'"),
    ({"onStart": body}, "Did you mean 'on_start'"),
    ({"on_start": 5}, "it is not a function"),
]


def test_02_1_a_wrong_option_is_named_at_the_definition(kk_engine: VirtualEngine) -> None:
    before = len(kk.tasks.list())
    for given, words in WRONG_ON_A_TASK:
        with pytest.raises(kk.KernelKitError, match=words):
            kk.task(**given)(body)

    assert len(kk.tasks.list()) == before


def test_02_1_two_functions_with_one_explicit_id_clash(kk_engine: VirtualEngine) -> None:
    kk.task(id="one-id")(body).register()
    with pytest.raises(kk.DuplicateTaskError, match=r"'one-id' already belongs to the function 'body'.*replace=True"):
        kk.task(id="one-id")(other).register()
    kk.task(id="one-id", replace=True)(other).register()


def test_02_2_a_task_tells_what_it_is(kk_engine: VirtualEngine) -> None:
    made = kk.task(id="told", description="Counts", queue="told-queue", tags=["a"])(body)

    assert (made.id, made.description, made.queue, made.tags) == ("told", "Counts", "told-queue", ("a",))
    assert '"n"' in made.json_schema
    assert kk.task(body).queue == "task/body"


def test_02_6_the_function_gets_payload_context_init_and_signal(kk_engine: VirtualEngine) -> None:
    @kk.task(init=lambda: "mine")
    async def asks(n: int, ctx: kk.Context, init: Any, signal: kk.CancelSignal) -> list[Any]:
        return [n, ctx.run.id == kk.ctx.run.id, init, signal.is_set()]

    run = asks.trigger(n=1)
    kk_engine.drain()

    assert run.result(timeout=5).output == [1, True, "mine", False]


WRONG_AT_A_TRIGGER: list[tuple[dict[str, Any], str]] = [
    ({"max_attempts": 0}, "max_attempts=0 is not a whole number from 1 to 250"),
    ({"max_attempts": 1.0}, "is not a whole number"),
    ({"max_attempts": "3"}, "is not a whole number"),
    ({"concurrency_key": ""}, "is not a text or whole number of 1 to 128"),
    ({"concurrency_key": "x" * 129}, "of 1 to 128 characters"),
    ({"concurrency_key": 1.5}, "is not a text or whole number"),
    ({"concurrency_key": "\udcff"}, "half a character"),
    ({"priority": "10"}, "is not a number of seconds"),
    ({"priority": float("nan")}, "is not a number of seconds"),
    ({"priority": 2_147_483.648}, "to 2,147,483.647"),
    ({"queue": {"name": "x"}}, "is not a queue"),
    ({"machine": {"preset": "micro"}}, "is not a machine preset. The presets are: micro"),
    ({"test": 1}, "test=1 is not True or False"),
    ({"debounce": {"key": "k", "delay": "5s"}}, "is no kk.Debounce. Write debounce=kk.Debounce"),
    ({"idempotency_key": ""}, "idempotency_key is ''. Give a text"),
    ({"idempotency_key": "\udcff"}, "half a character"),
    ({"idempotencyKey": "x"}, "Did you mean 'idempotency_key'"),
    ({"prioritty": 1}, "Did you mean 'priority'"),
]


def test_14_a_wrong_option_of_a_trigger_is_named_and_nothing_is_stored(kk_engine: VirtualEngine) -> None:
    quick = kk.task(body)
    for given, words in WRONG_AT_A_TRIGGER:
        with pytest.raises(kk.InvalidOptionError, match=words):
            quick.options(**given)
        with pytest.raises(kk.InvalidOptionError, match=words):
            kk.Item({"n": 1}, **given)
        with pytest.raises(kk.InvalidOptionError, match=words):
            kk.tasks.trigger("body", {"n": 1}, **given)
    with pytest.raises(kk.InvalidOptionError, match=r"There is no queue 'nope' .* To make one"):
        quick.options(queue="nope").trigger()
    with pytest.raises(kk.InvalidOptionError, match="without an idempotency_key"):
        quick.options(idempotency_key_ttl="1h").trigger()

    assert kk.runs.list().total == 0


def test_14_options_as_they_reach_the_run(kk_engine: VirtualEngine) -> None:
    quick = kk.task(body)
    dotted = kk.task(id="dotted.id")(body)
    dotted.register()
    taken: list[tuple[dict[str, Any], str, Any]] = [
        ({"concurrency_key": 5}, "concurrency_key", "5"),
        ({"concurrency_key": np.int64(5)}, "concurrency_key", "5"),
        ({"priority": np.int64(3)}, "priority", 3.0),
        ({"priority": -0.25}, "priority", -0.25),
        ({"queue": dotted.queue}, "queue", "task/dotted.id"),
        ({"machine": "micro"}, "machine", "micro"),
        ({"test": True}, "is_test", True),
        ({name: None for name in ("tags", "queue", "delay", "ttl", "priority", "metadata", "machine")}, "tags", ()),
    ]
    for given, field, value in taken:
        assert (given, getattr(quick.options(**given).trigger().refresh(), field)) == (given, value)
