"""Trying again inside one attempt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.authoring.http_server import Answer, Server, http_server
from tests.behaviour.conftest import Stage


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with http_server() as made:
        yield made


def test_31_1_on_throw_tries_again_within_one_attempt(stage: Stage) -> None:
    @kk.task(retries=1)
    async def awaiting() -> int:
        def flaky(attempt: int) -> int:
            if attempt < 3:
                raise OSError("not yet")
            return attempt

        return await kk.retry.on_throw(flaky, min_timeout=0.02, randomize=False)

    @kk.task(retries=1)
    def plain() -> int:
        def flaky(attempt: int) -> int:
            if attempt < 3:
                raise OSError("not yet")
            return attempt

        return kk.retry.on_throw(flaky, min_timeout=0.02, randomize=False).result()

    runs = [awaiting.trigger(), plain.trigger()]
    stage.finish()

    assert [run.result(timeout=10).output for run in runs] == [3, 3]
    assert [len(run.refresh().attempts) for run in runs] == [1, 1]
    lines = [line.text for line in runs[0].logs().lines if line.level == "warn"]
    assert lines[0] == "retry.on_throw: try 1 of 3 failed with OSError: not yet; the next in 0.02 s"


def test_31_1_the_last_error_fails_the_attempt_as_it_is(stage: Stage) -> None:
    @kk.task(retries=1)
    async def never() -> None:
        def broken() -> None:
            raise ZeroDivisionError("always")

        await kk.retry.on_throw(broken, max_attempts=2, min_timeout=0.02)

    run = never.trigger()
    stage.finish()

    error = run.result(timeout=10).error
    assert error is not None
    assert (error.name, error.message) == ("ZeroDivisionError", "always")


def test_31_1_abort_ends_the_run_at_once(stage: Stage) -> None:
    @kk.task
    async def gives_up() -> None:
        def aborts() -> None:
            kk.metadata.increment("calls")
            raise kk.AbortTaskRunError("closed")

        await kk.retry.on_throw(aborts)

    run = gives_up.trigger()
    stage.finish()

    assert run.status == "FAILED"
    assert run.metadata == {"calls": 1}


def test_31_1_long_waits_are_virtual_on_the_test_engine() -> None:
    @kk.task(retries=1)
    async def patient() -> int:
        def flaky(attempt: int) -> int:
            if attempt < 3:
                raise OSError("not yet")
            return attempt

        return await kk.retry.on_throw(flaky, min_timeout="1h", max_timeout="10h", randomize=False)

    with engine() as eng:
        run = patient.trigger()
        eng.advance(hours=2, minutes=59)
        assert run.status == "EXECUTING"
        eng.advance(minutes=2)
        assert run.result(timeout=5).output == 3


def test_31_2_fetch_tries_again_and_returns_what_it_got(stage: Stage, server: Server) -> None:
    # given two addresses, one of which recovers
    busy = Answer(503, body="busy")
    recovers = server.script("/recovers", busy, busy, Answer(200, body={"rows": 3}))
    missing = server.script("/missing", Answer(404, body="nothing here"))

    @kk.task(retries=1)
    async def awaiting(url: str) -> list[object]:
        response = await kk.retry.fetch(url, retry={"by_status": {"5xx": kk.Retry(min_timeout=0.02)}})
        return [response.status_code, response.json()]

    @kk.task(retries=1)
    def plain(url: str) -> list[object]:
        response = kk.retry.fetch(url, timeout="5s").result()
        return [response.status_code, response.json()]

    # when
    runs = [awaiting.trigger(url=recovers), awaiting.trigger(url=missing), plain.trigger(url=missing)]
    stage.finish()

    # then
    assert [run.result(timeout=10).output for run in runs] == [
        [200, {"rows": 3}],
        [404, "nothing here"],
        [404, "nothing here"],
    ]
    assert server.retry_counts("/recovers") == ["0", "1", "2"]


def test_31_2_a_timeout_is_the_servers_time_also_where_the_clock_is_virtual(stage: Stage, server: Server) -> None:
    url = server.script("/hangs", Answer(hangs=True))

    @kk.task(retries=1)
    async def impatient(url: str) -> None:
        await kk.retry.fetch(url, timeout=0.2, retry={"timeout": kk.Retry(max_attempts=2, min_timeout=0.02)})

    run = impatient.trigger(url=url)
    stage.finish()

    error = run.result(timeout=10).error
    assert error is not None
    assert error.name == "ReadTimeout"
    assert server.retry_counts("/hangs") == ["0", "1"]


def test_31_3_a_reset_header_decides_when(stage: Stage, server: Server) -> None:
    url = server.script(
        "/limited",
        lambda: Answer(429, {"x-reset": str(time.time() + 0.3)}),
        Answer(200, body="in"),
    )

    @kk.task(retries=1)
    async def waits(url: str) -> str:
        strategy = {"strategy": "headers", "reset_header": "x-reset", "reset_format": "unix_timestamp"}
        response = await kk.retry.fetch(url, retry={"by_status": {"429": strategy}})
        return str(response.json())

    run = waits.trigger(url=url)
    stage.finish()

    assert run.result(timeout=10).output == "in"
    assert server.retry_counts("/limited") == ["0", "1"]


BUSY = {"error": {"code": "busy", "tags": ["soft", "later"]}, "retry": True}


@pytest.mark.parametrize(
    ("wanted", "body", "tries"),
    [
        ({"error": {"code": ["busy", "slow"]}}, BUSY, 2),
        ({"error": {"code": "busy"}, "retry": True}, BUSY, 2),
        ({"error": {"tags": ["later"]}}, BUSY, 2),  # one element of the body's list is enough
        ({"retry": 1}, BUSY, 1),  # true is no 1
        ({"error": {"code": "busy", "who": "ann"}}, BUSY, 1),
        ({"error": {"code": {"deeper": "busy"}}}, BUSY, 1),
        ({"error": []}, BUSY, 1),
        ({"gone": None}, BUSY, 1),  # what is not there is not null
        ({"gone": None}, {"gone": None}, 2),
        ({}, BUSY, 2),
        ({"error": "busy"}, "busy", 1),
        (lambda body: body["error"]["code"] == "busy", BUSY, 2),
        (lambda body: 0, BUSY, 1),
    ],
)
def test_31_3_a_body_filter_says_which_answers_are_tried_again(
    server: Server, wanted: dict[str, Any] | Callable[[Any], Any], body: Any, tries: int
) -> None:
    url = server.script("/filtered", Answer(503, body=body), Answer(200, body="in"))

    @kk.task(retries=1)
    async def filtered(url: str) -> int:
        response = await kk.retry.fetch(url, retry={"by_status": {"5xx": {"max_attempts": 3, "body_filter": wanted}}})
        return response.status_code

    with engine() as eng:
        run = filtered.trigger(url=url)
        eng.advance(minutes=5)
        assert run.result().output == (200 if tries == 2 else 503)
    assert server.retry_counts("/filtered") == ["0", "1"][:tries]


def test_31_3_an_answer_that_a_filter_does_not_fit_is_left_to_the_next_keys(server: Server) -> None:
    hopeless = {"strategy": "headers", "reset_header": "x-reset", "body_filter": {"error": "quota"}}
    by_status = {"503": hopeless, "5xx": {"max_attempts": 2}}
    quota = server.script("/quota", Answer(503, body={"error": "quota"}))
    other = server.script("/other", Answer(503, body={"error": "busy"}))

    @kk.task(retries=1)
    async def several(url: str) -> int:
        return (await kk.retry.fetch(url, retry={"by_status": by_status})).status_code

    with engine() as eng:
        several.trigger(url=quota)
        several.trigger(url=other)
        eng.advance(minutes=5)
    assert server.retry_counts("/quota") == ["0"], "its header is missing"
    assert server.retry_counts("/other") == ["0", "1"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("busy", "neither a function of the JSON body nor a dict"),
        ([{"a": 1}], "neither a function of the JSON body nor a dict"),
        ({"a": {"$gt": 5}}, r"\$gt is no pattern here"),
        ({"a": [{"$exists": True}]}, r"\$exists is no pattern here"),
    ],
)
def test_31_3_a_body_filter_that_is_none_is_refused_at_the_call(wanted: Any, words: str) -> None:
    with pytest.raises(kk.InvalidOptionError, match=words):
        kk.retry.fetch("http://127.0.0.1:1", retry={"by_status": {"5xx": {"body_filter": wanted}}})


@pytest.mark.parametrize(("status", "returned"), [(404, True), (503, True), (429, True), (0, False)])
def test_31_4_answers_are_returned_and_connections_that_fail_raise(server: Server, status: int, returned: bool) -> None:
    url = server.script("/end", Answer(status, drops=status == 0))

    @kk.task(retries=1)
    async def ends(url: str) -> int:
        return (await kk.retry.fetch(url)).status_code

    with engine() as eng:
        run = ends.trigger(url=url)
        eng.advance(minutes=30)
        result = run.result()

    assert result.output == (status if returned else None)
    assert (result.error is None) is returned
    assert result.error is None or result.error.name == "RemoteProtocolError"
    assert server.retry_counts("/end") == (["0"] if status == 404 else ["0", "1", "2"])


def test_31_1_tries_of_on_throw_begin_anew_with_the_body() -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=1, randomize=False))
    async def twice(ctx: kk.Context) -> list[int]:
        def flaky(attempt: int, max_attempts: int) -> list[int]:
            kk.metadata.append("tries", [ctx.attempt.number, attempt, max_attempts])
            if ctx.attempt.number == 1 or attempt < 2:
                raise OSError("not yet")
            return [attempt]

        return await kk.retry.on_throw(flaky, max_attempts=2)

    with engine() as eng:
        run = twice.trigger()
        eng.advance(hours=1)
        assert run.metadata == {"tries": [[1, 1, 2], [1, 2, 2], [2, 1, 2], [2, 2, 2]]}
        assert run.result().output == [2]
