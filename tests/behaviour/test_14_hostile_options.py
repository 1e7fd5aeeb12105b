"""What is typed into a trigger, a cancel or a filter (§14, §26, §35): bad values are refused at the call, whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine

HALF = "\ud800x"  # half of a character, as a wrong decoding leaves it


@kk.task(retry=None)
async def plain(n: int = 0) -> int:
    return n


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tags": [HALF]}, "A tag is .* half a character"),
        ({"concurrency_key": HALF}, "concurrency_key is .* half a character"),
        ({"concurrency_key": ""}, "concurrency_key='' is not a text"),
        ({"idempotency_key": HALF}, "idempotency_key is .* half a character"),
        ({"queue": HALF}, "is not a queue"),
        ({"queue": "a b!"}, "is not a queue"),
        ({"queue": "q" * 129}, "is not a queue"),
        ({"delay": "1000000000d"}, "delay='1000000000d' is longer than 36,500 days"),
        ({"delay": timedelta.max}, "longer than 36,500 days"),
        ({"delay": 10**400}, "longer than 36,500 days"),
        ({"delay": datetime(9999, 12, 31, tzinfo=UTC)}, "later than the year 9,000"),
        ({"delay": True}, "not a duration"),
        ({"ttl": "99999999999d"}, "ttl=.* longer than 36,500 days"),
        ({"max_duration": float("nan")}, "not a duration"),
        ({"idempotency_key": "a", "idempotency_key_ttl": float("inf")}, "longer than 36,500 days"),
        ({"priority": float("nan")}, "priority=nan"),
        ({"max_attempts": True}, "max_attempts=True"),
        ({"test": 1}, "test=1 is not True or False"),
        ({"allow_undefined": "x"}, "allow_undefined='x'"),
        ({"metadata": [1]}, "metadata="),
        ({"metadata": {"a": "x" * 300_000}}, "at most 262,144"),
    ],
)
def test_14_an_option_that_will_not_do_is_refused_and_nothing_is_stored(options: dict[str, Any], words: str) -> None:
    with engine() as eng:
        with pytest.raises(kk.InvalidOptionError, match=words):
            plain.options(**options).trigger(n=1)
        eng.advance(days=1)

        assert kk.runs.list().total == 0


@pytest.mark.parametrize("delay", ["36500d", 36_500 * 86_400, datetime(9000, 12, 31, tzinfo=UTC)])
def test_7_1_a_run_may_be_delayed_for_a_lifetime(delay: Any) -> None:
    with engine() as eng:
        run = plain.options(delay=delay, ttl="36500d").trigger()
        eng.advance(days=1)

        assert [each.status for each in kk.runs.list()] == ["DELAYED"]
        assert run.refresh().delay_until is not None


def cancel_all(reason: Any) -> None:
    kk.runs.cancel_all(task="plain", reason=reason)


@pytest.mark.parametrize("reason", [5, None, "", "x" * 1_001, HALF, ["a"]])
@pytest.mark.parametrize("way", ["handle", "runs", "all", "batch"])
def test_26_5_a_reason_that_is_none_is_refused_and_the_run_goes_on(way: str, reason: Any) -> None:
    with engine():
        batch = plain.options(delay="1h").batch_trigger([{"n": 1}])
        ways: dict[str, Callable[[Any], Any]] = {
            "handle": batch.runs[0].cancel,
            "runs": lambda reason: kk.runs.cancel(batch.runs[0].id, reason),
            "all": cancel_all,
            "batch": batch.cancel,
        }
        with pytest.raises(kk.InvalidOptionError, match=r"[Rr]eason"):
            ways[way](reason)

        assert [run.status for run in kk.runs.list()] == ["DELAYED"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: kk.batch.retrieve(None), "batch_id=None is neither an id nor has one"),  # type: ignore[arg-type]
        (lambda: kk.batch.retrieve(""), "batch_id='' is neither"),
        (lambda: kk.runs.retrieve(HALF), "run_id is .* half a character"),
        (lambda: kk.runs.list(tag=HALF), "tag is .* half a character"),
        (lambda: kk.runs.list(tag=["a", ""]), "tag='' is neither"),
        (lambda: kk.runs.cancel_all(task="plain", tag=""), "tag='' of kk.runs.cancel_all names nothing"),
        (lambda: kk.runs.replay_all(task="plain", tag=[]), r"tag=\[\] of kk.runs.replay_all names nothing"),
        (lambda: kk.sql(f"select '{HALF}'"), "The query is .* half a character"),
        (lambda: kk.idempotency_keys.reset("plain", HALF), "key is .* half a character"),
    ],
)
def test_35_2_a_name_that_is_none_is_refused(call: Callable[[], Any], words: str) -> None:
    with engine():
        plain.options(delay="1h", tags="a").trigger()
        with pytest.raises(kk.InvalidOptionError, match=words):
            call()

        assert kk.runs.list(status="delayed").total == 1
