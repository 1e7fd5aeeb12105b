"""`kk.logger`: levels, and parts of the work with their durations."""

from __future__ import annotations

import asyncio
import logging

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage


def lines_of(run: kk.RunHandle[None]) -> list[tuple[str, str]]:
    return [(line.level, line.text) for line in run.logs().lines]


def speak() -> None:
    kk.logger.debug("d")
    kk.logger.log("l")
    kk.logger.info("i")
    kk.logger.warn("w")
    kk.logger.error("e")
    print("printed")  # noqa: T201
    logging.getLogger("app").warning("logged")


@pytest.mark.parametrize(
    ("level", "kept"),
    [("debug", "dliwe"), ("info", "liwe"), ("warn", "we"), ("error", "e"), ("none", "")],
)
def test_34_1_levels_filter_logger_calls_and_nothing_else(stage: Stage, level: str, kept: str) -> None:
    @kk.task(id=f"l-{level}", log_level=level)  # type: ignore[call-overload, untyped-decorator]  # a text, not a literal
    async def speaks() -> None:
        speak()

    run = speaks.trigger()
    stage.finish()

    texts = [text for _, text in lines_of(run)]
    assert "".join(text for text in texts if len(text) == 1) == kept
    if not stage.is_virtual:  # streams are captured by workers
        assert "printed" in texts and any("logged" in text for text in texts)


def test_34_1_the_level_is_a_default_of_the_process_and_info_without(stage: Stage) -> None:
    kk.configure(log_level="error")

    @kk.task(id="l-process")
    async def quiet() -> None:
        kk.logger.warn("w")
        kk.logger.error("e")

    kk.configure(log_level="info")

    @kk.task(id="l-plain")
    async def plain() -> None:
        kk.logger.debug("d")
        kk.logger.info("i")

    runs = [quiet.trigger(), plain.trigger()]
    stage.finish()

    assert [lines_of(run) for run in runs] == [[("error", "e")], [("info", "i")]]


def test_34_2_a_span_says_how_long_it_took(stage: Stage) -> None:
    @kk.task(id="l-span", retries=1)
    async def spans() -> None:
        with kk.logger.span("parse", rows=3):
            kk.logger.info("inside")
        with kk.logger.span("store"):
            raise KeyError("gone")

    run = spans.trigger()
    stage.finish()

    levels, texts = zip(*lines_of(run), strict=True)
    assert levels == ("info", "info", "info", "info", "error")
    assert texts[:2] == ("parse: began rows=3", "inside")
    assert texts[2].startswith("parse: ended after 0.") and texts[2].endswith("s rows=3")
    assert texts[4].startswith("store: ended by KeyError after 0.")


def test_34_2_a_span_takes_the_runs_own_time() -> None:
    @kk.task(id="l-virtual")
    async def waits() -> None:
        with kk.logger.span("wait"):
            await asyncio.sleep(90)

    with engine() as eng:
        run = waits.trigger()
        eng.advance(minutes=2)
        assert lines_of(run)[1] == ("info", "wait: ended after 90.000 s")
