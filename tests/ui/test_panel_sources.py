"""The schedules and engine panels, live but without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.client.engine import EngineControl
from kernelkit.clock import MICROS, from_datetime
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError
from kernelkit.models.pulse import Beats
from kernelkit.testing import VirtualEngine
from kernelkit.ui import polled
from kernelkit.ui.engine_source import EngineSource
from kernelkit.ui.polled import Polled
from kernelkit.ui.schedules_source import SchedulesSource
from kernelkit.wire.messages import EngineStatus, QueueHeld, ReplyBody, RequestBody, Welcome, WorkerInfo
from tests.ui import samples
from tests.ui.fakes import until


def clicked(source: Polled, content: dict[str, Any], number: int = 1) -> dict[str, Any]:
    source.asked({**content, "n": number})
    until(lambda: source.view()["answer"]["to"] == number)
    source.read()
    return source.view()


# ---- schedules ---------------------------------------------------------------------------------------------------


@kk.task(cron="0 9 * * 1-5", timezone="Asia/Tokyo")
async def report(payload: kk.ScheduledPayload) -> int:
    return 1


def test_a_schedule_is_told_with_its_zone_and_switched_off_and_on(kk_engine: VirtualEngine) -> None:
    report.register()
    source = SchedulesSource(callers.current())
    source.open()
    (row,) = source.view()["rows"]
    assert (row["task"], row["on"], row["words"]) == ("report", True, "At 09:00, Monday through Friday")
    assert (row["timezone"], row["cron"]) == ("Asia/Tokyo", "0 9 * * 1-5")
    assert "next_at" in row

    view = clicked(source, {"do": "off", "id": row["id"]})
    assert view["rows"][0]["on"] is False
    assert view["rows"][0]["next_at"], "what it would be"
    assert not kk.schedules.list()[0].active
    assert clicked(source, {"do": "on", "id": row["id"]}, 2)["rows"][0]["on"] is True

    view = clicked(source, {"do": "run", "id": row["id"]}, 3)
    assert view["answer"]["text"].startswith("Triggered run_")
    assert kk.runs.list(task="report").total == 1
    assert clicked(source, {"do": "on", "id": "sched_none"}, 4)["answer"]["ok"] is False
    assert "knows no 'explode'" in clicked(source, {"do": "explode"}, 5)["answer"]["text"]


def test_what_came_of_the_last_slot_is_told(kk_engine: VirtualEngine) -> None:
    report.register()
    kk_engine.advance(days=4)
    source = SchedulesSource(callers.current(), task="report")
    source.open()
    (row,) = source.view()["rows"]
    assert (row["last_status"], row["last_word"]) == ("COMPLETED", "Completed")
    assert row["last_at"]


def test_an_unchanged_view_is_not_sent_again_for_a_while(
    kk_engine: VirtualEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.register()
    source = SchedulesSource(callers.current())
    source.open()
    first = source.view()
    source.read()
    assert source.view() is first
    monkeypatch.setattr(polled, "SAME_FOR_S", -1.0)
    source.read()
    assert source.view()["as_of"] != first["as_of"]


# ---- the engine --------------------------------------------------------------------------------------------------

STATUS = EngineStatus(
    pid=4711,
    version="0.1.0",
    home="/srv/shop/.kernelkit",
    started_at=from_datetime(samples.at("12:22:21")),
    runs={"QUEUED": 434, "WAITING": 38},
    executing=31,
    limit=40,
    workers=(
        WorkerInfo(
            "w1", "shared", 12, "e", 22, doing=("embed", "<b>"), suspended=21, memory=412_000_000, since=5 * MICROS
        ),
        *(WorkerInfo(f"p{n}", "process", 13, "e", 1, memory=10, memory_limit=20) for n in range(30)),
    ),
    clients=1,
    pulse=Beats(ended=(4, 0, 6, 0, 8), waits=(-1.0, 0.038), ended_a_minute=14, wait=0.038, wait_p95=0.12),
    memory_limit=8_000_000_000,
    engine_memory=96_000_000,
    held=(QueueHeld("images", 434, "queue images: 4 of 4 in use"),),
)


class Connection:
    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / ".kernelkit")
        self.is_connected = True
        self.answer: EngineStatus | None = STATUS
        self.started: list[dict[str, bool]] = []

    def call(self, body: RequestBody) -> ReplyBody:
        if self.answer is None:
            raise EngineUnavailableError("No engine answers.")
        return self.answer

    def connect(self, *, start: bool = True, explicit: bool = False, keep: bool = False) -> Welcome:
        if explicit:
            self.started.append({"start": start})
            self.answer = STATUS
        if self.answer is None:
            raise EngineUnavailableError("No engine runs.")
        return Welcome(4711, 1, "0.1.0", str(self.home.path), 0)


@pytest.fixture(autouse=True)
def _locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelkit.client.engine.is_locked", lambda home: True)  # a `Connection` says what there is


def test_the_engine_is_told_in_four_figures_with_its_workers_and_why_runs_wait(tmp_path: Path) -> None:
    source = EngineSource(EngineControl(Connection(tmp_path)))
    source.open()
    view = source.view()
    ended, executing, memory, delay = view["four"]
    assert (ended["value"], ended["more"], len(ended["line"])) == ("14", "last 15 min, most 10", 5)
    assert (executing["value"], executing["of"], executing["share"]) == ("31", "40", 31 / 40)
    assert executing["more"] == "434 queued, 38 waiting"
    assert (memory["of"], memory["more"]) == ("8 GB", "engine itself 96 MB")
    assert (delay["value"], delay["more"]) == ("38 ms", "p95 120 ms")
    first = view["workers"][0]
    assert (first["doing"], first["names"], first["memory"]) == ("22 runs", "embed, <b>, 21 suspended", "412 MB")
    assert (len(view["workers"]), view["more_workers"]) == (20, 11)
    assert view["workers"][1]["share"] == 0.5
    assert list(view["held"]) == [{"queue": "images", "queued": "434", "reason": "Queue images: 4 of 4 in use."}]
    assert "up" not in view["about"], "it ticks"
    assert len(msgspec.json.encode(view)) < 8_000

    static = source.bundle()
    assert "434 in line of images: queue images: 4 of 4 in use" in static["text/plain"]
    assert "Start delay: 38 ms (p95 120 ms)" in static["text/html"]


def test_an_engine_that_is_away_is_told_and_started_from_the_panel(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    source = EngineSource(EngineControl(connection))
    source.open()
    connection.answer = None
    source.read()
    view = source.view()
    assert (view["title"], view["is_away"], view["is_well"]) == ("Engine not running", True, False)
    assert view["last_word"]
    assert source.is_connected, "the panel says it itself"
    assert connection.started == [], "looking starts nothing"

    view = clicked(source, {"do": "start"})
    assert view["answer"]["text"] == "The engine has started."
    assert view["title"] == "Engine healthy"


def test_the_log_is_shown_and_hidden(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.home.path.mkdir()
    connection.home.engine_log.write_text("INFO \x1b[31mengine up\n")
    source = EngineSource(EngineControl(connection))
    source.open()
    assert "INFO engine up" in clicked(source, {"do": "logs"})["logs"]
    assert clicked(source, {"do": "no logs"}, 2)["logs"] == ""
    assert "knows no" in clicked(source, {"do": "explode"}, 3)["answer"]["text"]
