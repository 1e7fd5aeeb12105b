"""Options are taken, or refused with words a newcomer can act on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kernelkit.authoring.options import Queue, Retry, task_options
from kernelkit.authoring.run_options import Item, run_options
from kernelkit.errors import InvalidDurationError, InvalidOptionError, TaskDefinitionError
from kernelkit.models.task import ONE_ATTEMPT, RetryPolicy


def test_a_task_without_options_gets_its_functions_name_and_three_attempts() -> None:
    options = task_options("make_thumbnail", {})

    assert options.id == "make-thumbnail"
    assert options.retry == RetryPolicy()
    assert not options.explicit_id


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"retry": None}, ONE_ATTEMPT),
        ({"retries": 1}, ONE_ATTEMPT),
        ({"retries": 5}, RetryPolicy(max_attempts=5)),
        ({"retry": Retry(min_timeout="2s", max_timeout=timedelta(minutes=1))}, RetryPolicy(min_timeout=2.0)),
    ],
)
def test_retry_is_said_in_several_ways(given: dict[str, Any], expected: RetryPolicy) -> None:
    assert task_options("f", given).retry == expected


def test_a_queue_brings_its_limit() -> None:
    options = task_options("f", {"queue": Queue("images", concurrency_limit=5)})

    assert (options.queue, options.concurrency_limit) == ("images", 5)
    with pytest.raises(InvalidOptionError, match="contradict"):
        task_options("f", {"queue": Queue("images", concurrency_limit=5), "concurrency_limit": 2})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"quue": "a"}, "Did you mean 'queue'"),
        ({"machine": "large-1"}, "Did you mean 'large-1x'"),
        ({"machine": 4}, "machine=4 is not a machine preset"),
        ({"machine": "micro", "isolation": "shared"}, "contradict each other"),
        ({"log_level": "loud"}, "log_level='loud' is unknown"),
        ({"id": "has space"}, "not a task id"),
        ({"queue": 3}, "not a queue"),
        ({"queue": "a b"}, "not a queue"),
        ({"concurrency_limit": -1}, "concurrency_limit=-1"),
        ({"concurrency_limit": True}, "concurrency_limit=True"),
        ({"retries": 0}, "1 means no retry"),
        ({"retries": 251}, "from 1 to 250"),
        ({"retry": 3}, "write retries=3"),
        ({"retry": "often"}, r"not a kk\.Retry"),
        ({"retry": None, "retries": 3}, "twice"),
        ({"isolation": "thread"}, "isolation='thread' is unknown"),
        ({"tags": 4}, "tags=4"),
        ({"tags": ["x" * 129]}, "129 characters"),
        ({"tags": [str(n) for n in range(11)]}, "at most 10 tags"),
        ({"description": 4}, "description=4"),
        ({"replace": "yes"}, "replace='yes'"),
    ],
)
def test_a_wrong_task_option_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words):
        task_options("f", given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"machine": "large"}, "Did you mean 'large-"),
        ({"max_attempt": 1}, "Did you mean 'max_attempts'"),
        ({"max_attempts": 0}, "max_attempts=0"),
        ({"metadata": [1]}, "metadata=.* is not a dict"),
        ({"metadata": {1: 2}}, "texts as keys"),
        ({"metadata": {"a": "x" * 262_144}}, "262,144 are kept"),
    ],
)
def test_a_wrong_trigger_option_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words):
        run_options(**given)
    with pytest.raises(InvalidOptionError, match=words):
        Item({}, **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"factor": 0.5}, "factor=0.5"),
        ({"max_attempts": 251}, "max_attempts=251"),
        ({"min_timeout": 10, "max_timeout": 5}, "shorter than"),
        ({"randomize": 1}, "randomize=1"),
        ({"on_out_of_memory": "large-9x"}, "on_out_of_memory='large-9x' is not a machine preset"),
        ({"on_oom": "large-1x"}, "not an option of kk.Retry"),
    ],
)
def test_a_retry_out_of_bounds_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words):
        Retry(**given)


def test_a_retry_duration_is_read_like_any_other() -> None:
    with pytest.raises(InvalidDurationError, match="min_timeout='soon'"):
        Retry(min_timeout="soon")


def test_options_of_an_item_go_before_those_of_the_batch() -> None:
    batch = run_options(tags=["all"], max_attempts=2)

    merged = batch.merged(Item({}, tags="one", metadata={"a": 1}).options)

    assert (merged.tags, merged.max_attempts, merged.metadata) == (("one",), 2, '{"a":1}')


def test_a_lambda_needs_an_id() -> None:
    with pytest.raises(TaskDefinitionError, match="no name"):
        task_options("<lambda>", {})
    assert task_options("<lambda>", {"id": "double"}).id == "double"
