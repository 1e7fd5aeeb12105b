"""The live task card, without a browser: what it shows, and what becomes of a click on Trigger."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.errors import EngineUnavailableError
from kernelkit.testing import VirtualEngine
from kernelkit.ui import task_card
from kernelkit.ui.task_source import TaskSource
from tests.ui.fakes import FakeCaller, until


class Crop(BaseModel):
    top: int
    labels: list[str] = []


@kk.task(queue=kk.Queue("images", concurrency_limit=4), retries=5, max_duration="5m")
async def resize(
    url: Annotated[str, Field(pattern="^https?://")],
    width: Annotated[int, Field(ge=16)] = 512,
    crop: Crop | None = None,
) -> str:
    """Make an image smaller."""
    if "missing" in url:
        raise kk.AbortTaskRunError(f"404 for {url}")
    return url


@kk.task
async def sync_crm(payload: list[int]) -> int:
    return len(payload)


def clicked(source: TaskSource, content: dict[str, Any], number: int = 1) -> dict[str, Any]:
    source.asked({"do": "trigger", **content, "n": number})
    until(lambda: source.view()["answer"]["to"] == number)
    source.read()
    return source.view()


def test_the_card_says_what_the_task_is_and_how_it_is_filled_in(kk_engine: VirtualEngine) -> None:
    source = TaskSource(resize, callers.current())
    source.open()
    view = source.view()
    assert (view["task"], view["name"], view["total"]) == ("resize", "resize", 0)
    assert view["rules"][0] == "queue images (4 at once)"
    assert "stops after 5 min 00 s" in view["rules"]
    assert [field["name"] for field in view["form"]["fields"]] == ["url", "width", "crop"]
    assert [option["name"] for option in view["options"]][:3] == ["delay", "queue", "tags"]


def test_a_click_triggers_and_the_run_appears_below(kk_engine: VirtualEngine) -> None:
    source = TaskSource(resize, callers.current())
    view = clicked(source, {"payload": {"url": "https://a"}, "options": {"tags": ["x"], "delay": "1m"}})
    assert view["answer"]["ok"] is True
    run_id = view["recent"][0]["run_id"]
    assert view["answer"]["text"] == f"Triggered {run_id}"
    assert view["recent"][0]["word"] == "Delayed"
    assert kk.runs.retrieve(run_id).tags == ("x",)

    clicked(source, {"payload": {"url": "https://missing"}}, 2)
    kk_engine.advance(minutes=2)
    source.read()
    view = source.view()
    assert [run["word"] for run in view["recent"]] == ["Failed", "Completed"]
    assert "404 for https://missing" in view["recent"][0]["note"]
    assert view["recent"][1]["note"] == "url https://a"
    assert view["total"] == 2


def test_errors_of_pydantic_come_back_at_their_fields(kk_engine: VirtualEngine) -> None:
    source = TaskSource(resize, callers.current())
    view = clicked(source, {"payload": {"url": "img", "width": "wide", "crop": {"labels": ["a", 1]}, "x": 1}})
    answer = view["answer"]
    assert answer["ok"] is False
    paths = {".".join(map(str, one["path"])): one["text"] for one in answer["errors"]}
    assert set(paths) == {"url", "width", "crop.top", "crop.labels.1", "x"}
    assert paths["crop.top"] == "Required"
    assert paths["x"] == "There is no such field"
    assert "valid integer" in paths["width"]
    assert view["total"] == 0


@pytest.mark.parametrize(
    ("options", "field"),
    [({"delay": "soon"}, "delay"), ({"max_attempts": 1000}, "max_attempts"), ({"priority": "high"}, "priority")],
)
def test_errors_of_options_come_back_at_theirs(options: dict[str, Any], field: str, kk_engine: VirtualEngine) -> None:
    source = TaskSource(resize, callers.current())
    view = clicked(source, {"payload": {"url": "https://a"}, "options": options})
    assert [one["path"] for one in view["answer"]["errors"]] == [["@", field]]
    assert view["total"] == 0


def test_a_whole_payload_and_none_at_all(kk_engine: VirtualEngine) -> None:
    source = TaskSource(sync_crm, callers.current())
    assert source.view()["form"]["whole"] is True
    assert clicked(source, {"payload": [1, 2]})["answer"]["ok"] is True
    kk_engine.drain()
    assert clicked(source, {"payload": ["a"]}, 2)["answer"]["errors"][0]["path"] == [0]

    @kk.task
    async def nightly() -> int:
        return 1

    assert clicked(TaskSource(nightly, callers.current()), {})["answer"]["ok"] is True


def test_what_a_page_sends_beyond_the_form_is_not_taken(kk_engine: VirtualEngine) -> None:
    source = TaskSource(resize, callers.current())
    view = clicked(source, {"payload": {"url": "https://a"}, "options": {"metadata": {"a": 1}, "test": True}})
    assert kk.runs.retrieve(view["recent"][0]["run_id"]).is_test is False
    source.asked({"do": "explode", "n": 2})
    until(lambda: source.view()["answer"]["to"] == 2)
    assert "knows no 'explode'" in source.view()["answer"]["text"]


def test_the_card_of_a_recent_run_is_opened(kk_engine: VirtualEngine) -> None:
    opened: list[str] = []
    source = TaskSource(resize, callers.current(), opened.append)
    run_id = clicked(source, {"payload": {"url": "https://a"}})["recent"][0]["run_id"]
    source.asked({"do": "card", "id": run_id, "n": 2})
    until(lambda: source.view()["answer"]["to"] == 2)
    assert opened == [run_id]


def test_without_an_engine_there_is_a_form_all_the_same() -> None:
    caller = FakeCaller()
    caller.refuse = EngineUnavailableError("gone")
    source = TaskSource(resize, caller)
    source.open()
    assert source.view()["total"] == 0
    assert source.is_connected
    assert "url: text" in source.bundle()["text/html"]


def asked(source: TaskSource, content: dict[str, Any], number: int) -> dict[str, Any]:
    source.asked({**content, "n": number})
    until(lambda: source.view()["answer"]["to"] == number)
    return source.view()


def test_versions_source_and_schema_are_told_when_asked_for(kk_engine: VirtualEngine) -> None:
    source = TaskSource(resize, callers.current())
    assert "None so far" in asked(source, {"do": "more", "what": "versions"}, 1)["more"]["text"]
    resize.trigger(url="https://a")
    assert asked(source, {"do": "more", "what": "versions"}, 2)["more"] == {
        "what": "versions",
        "text": f"{resize.version}  runs triggered now",
    }
    assert '"""Make an image smaller."""' in asked(source, {"do": "more", "what": "source"}, 3)["more"]["text"]
    assert '"pattern": "^https?://"' in asked(source, {"do": "more", "what": "schema"}, 4)["more"]["text"]
    refused = asked(source, {"do": "more", "what": "secrets"}, 5)
    assert refused["answer"]["ok"] is False and refused["more"]["what"] == "schema"


def test_a_long_text_is_cut_and_says_how_much_is_left() -> None:
    told = task_card.more("source", "\n".join(f"line {n}" for n in range(100)))
    assert told.text.endswith("line 59\n… 40 more lines")


def test_all_runs_are_shown_once(kk_engine: VirtualEngine) -> None:
    shown: list[int] = []
    source = TaskSource(resize, callers.current())
    source.open_table = lambda: shown.append(1)
    asked(source, {"do": "all"}, 1)
    assert asked(source, {"do": "all"}, 2)["answer"]["ok"] is True
    assert shown == [1]
