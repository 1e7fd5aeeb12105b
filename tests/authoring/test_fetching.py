from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from kernelkit.authoring import fetching
from kernelkit.authoring.options import Retry
from kernelkit.authoring.retry import retry
from kernelkit.errors import InvalidDurationError, InvalidOptionError
from tests.authoring.http_server import Answer, Server, free_port, http_server

BROKEN = Answer(503, body={"error": "busy"})
FINE = Answer(200, body={"rows": 3})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http_server() as made:
        yield made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which take no time."""
    waited: list[float] = []

    async def pause(seconds: float, error: BaseException | None) -> None:
        waited.append(seconds)

    monkeypatch.setattr(fetching, "pause", pause)
    return waited


def plain(attempts: int = 3) -> Retry:
    return Retry(max_attempts=attempts, randomize=False)


def test_an_answer_comes_back_read_by_either_spelling(server: Server) -> None:
    url = server.script("/fine", FINE)

    async def body() -> Any:
        return (await retry.fetch(url)).json()

    assert retry.fetch(url).result().json() == {"rows": 3}
    assert asyncio.run(body()) == {"rows": 3}
    assert server.retry_counts("/fine") == ["0", "0"]


def test_what_is_to_be_sent_is_sent(server: Server) -> None:
    url = server.script("/rows", Answer(201))

    answer = retry.fetch(url, method="POST", json={"n": 1}, headers={"x-own": "yes"}, params={}, timeout="5s").result()

    assert answer.status_code == 201
    asked = server.asked[0]
    assert (asked.method, asked.body, asked.headers["x-own"]) == ("POST", b'{"n":1}', "yes")


@pytest.mark.parametrize("status", [429, 408, 409, 500, 503, 599])
def test_31_2_these_statuses_are_tried_again_without_being_asked(
    server: Server, pauses: list[float], status: int
) -> None:
    url = server.script("/", Answer(status), FINE)

    assert retry.fetch(url).result().status_code == 200
    assert server.retry_counts("/") == ["0", "1"]
    assert len(pauses) == 1 and 1.0 <= pauses[0] <= 2.0


def test_31_4_an_answer_that_is_not_tried_again_is_returned(server: Server, pauses: list[float]) -> None:
    missing, busy = server.script("/missing", Answer(404)), server.script("/busy", BROKEN)

    assert retry.fetch(missing).result().status_code == 404
    assert retry.fetch(busy).result().status_code == 503
    assert len(server.retry_counts("/missing")) == 1
    assert server.retry_counts("/busy") == ["0", "1", "2"]


def test_31_3_by_status_takes_the_place_of_the_default(server: Server, pauses: list[float]) -> None:
    url = server.script("/", Answer(404), Answer(404), BROKEN, FINE)
    rules = {"by_status": {"404": plain(5), "502,503": None, "5xx": plain(9)}}

    answer = retry.fetch(url, retry=rules).result()

    assert answer.status_code == 503
    assert pauses == [1.0, 2.0]


def test_31_3_policies_may_be_given_as_fields(server: Server, pauses: list[float]) -> None:
    url = server.script("/", BROKEN)
    fields = {"strategy": "backoff", "max_attempts": 4, "min_timeout": 0.5, "factor": 3, "randomize": False}

    retry.fetch(url, retry={"by_status": {"500-599": fields}}).result()

    assert pauses == [0.5, 1.5, 4.5]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("unix_timestamp", lambda at: str(at.timestamp())),
        ("unix_timestamp_in_ms", lambda at: str(round(at.timestamp() * 1000))),
        ("iso_8601", lambda at: at.isoformat()),
        ("iso_8601_duration_openai_variant", lambda at: "1m0s"),
    ],
)
def test_31_3_a_header_says_when(server: Server, pauses: list[float], form: str, told: Any) -> None:
    def limited() -> Answer:
        return Answer(429, {"X-Reset": told(datetime.now(UTC) + timedelta(seconds=60))})

    url = server.script("/", limited, FINE)
    strategy = {"strategy": "headers", "reset_header": "x-reset", "reset_format": form, "limit_header": "x-limit"}

    assert retry.fetch(url, retry={"by_status": {"429": strategy}}).result().status_code == 200
    assert pauses == [pytest.approx(60, abs=2)]


def test_31_3_without_its_header_the_answer_is_returned(server: Server, pauses: list[float]) -> None:
    url = server.script("/", Answer(429), FINE)

    answer = retry.fetch(url, retry={"by_status": {"429": {"strategy": "headers", "reset_header": "x-reset"}}}).result()

    assert answer.status_code == 429
    assert pauses == []


def test_a_try_that_takes_too_long_is_made_again_and_raises_in_the_end(server: Server, pauses: list[float]) -> None:
    slow, dead = server.script("/slow", Answer(hangs=True), FINE), server.script("/dead", Answer(hangs=True))

    assert retry.fetch(slow, timeout=0.1).result().status_code == 200
    with pytest.raises(httpx2.TimeoutException, match=r"GET .*/dead took longer than 0\.1 s"):
        retry.fetch(dead, timeout=0.1, retry={"timeout": plain(2)}).result()

    assert server.retry_counts("/dead") == ["0", "1"]


def test_timeouts_are_not_tried_again_when_told_so(server: Server, pauses: list[float]) -> None:
    url = server.script("/", Answer(hangs=True), FINE)

    with pytest.raises(httpx2.TimeoutException):
        retry.fetch(url, timeout=0.1, retry={"timeout": None}).result()
    assert pauses == []


def test_connection_errors_are_tried_again_and_raise_in_the_end(server: Server, pauses: list[float]) -> None:
    dropped = server.script("/dropped", Answer(drops=True), FINE)

    assert retry.fetch(dropped).result().status_code == 200
    with pytest.raises(httpx2.ConnectError):
        retry.fetch(f"http://127.0.0.1:{free_port()}/", retry={"connection_error": plain(4)}).result()
    assert pauses[1:] == [1.0, 2.0, 4.0]


def test_23_max_attempts_counts_all_tries_and_never_gets_past_ten(server: Server, pauses: list[float]) -> None:
    five, many = server.script("/five", BROKEN), server.script("/many", BROKEN)
    two = server.script("/two", BROKEN)

    retry.fetch(five, retry={"max_attempts": 5}).result()
    retry.fetch(many, retry={"max_attempts": 50, "by_status": {"all": plain(99)}}).result()
    retry.fetch(two, retry={"max_attempts": 2, "by_status": {"503": plain(9)}}).result()

    assert [len(server.retry_counts(path)) for path in ("/five", "/many", "/two")] == [5, 10, 2]


def test_23_a_condition_alone_says_whether(server: Server, pauses: list[float]) -> None:
    url = server.script("/", Answer(drops=True), Answer(404), Answer(200, body="pending"), BROKEN)
    seen: list[Any] = []

    def condition(response: httpx2.Response | None, error: Exception | None) -> bool:
        seen.append(type(error).__name__ if response is None else response.status_code)
        return response is None or response.status_code == 404 or response.json() == "pending"

    answer = retry.fetch(url, retry={"max_attempts": 6, "condition": condition}).result()

    assert answer.status_code == 503
    assert seen[1:] == [404, 200, 503]
    assert len(seen) == 4


def test_an_address_that_cannot_be_asked_is_not_tried_again(pauses: list[float]) -> None:
    with pytest.raises(httpx2.UnsupportedProtocol):
        retry.fetch("ftp://127.0.0.1/").result()
    assert pauses == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"byStatus": {}}, "by_status"),
        ({"by_status": {"teapot": None}}, "names no statuses"),
        ({"by_status": {"429": {"strategy": "headers"}}}, "reset_header"),
        ({"by_status": {"429": {"strategy": "headers", "reset_header": "x", "reset_format": "epoch"}}}, "iso_8601"),
        ({"by_status": {"429": {"strategy": "hope"}}}, "neither backoff nor headers"),
        ({"by_status": {"429": {"tries": 3}}}, "max_attempts"),
        ({"by_status": {"429": 3}}, "kk.Retry"),
        ({"timeout": "5s"}, "kk.Retry"),
        ({"condition": True}, "function"),
        ({"max_attempts": 0}, "max_attempts"),
        (["429"], "dict"),
    ],
)
def test_rules_that_mean_nothing_are_refused_at_the_call(options: Any, words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words):
        retry.fetch("http://127.0.0.1/", retry=options)


def test_a_timeout_that_is_no_duration_is_refused() -> None:
    with pytest.raises(InvalidDurationError):
        retry.fetch("http://127.0.0.1/", timeout="soon")


def test_result_inside_a_loop_says_what_to_write() -> None:
    async def body() -> None:
        with pytest.raises(Exception, match="await"):
            retry.fetch("http://127.0.0.1/").result()

    asyncio.run(body())
