"""`%trigger`: words of a line become a payload and options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import kernelkit as kk
from kernelkit.authoring.signature import Signature
from kernelkit.errors import InvalidOptionError, KernelKitError, PayloadValidationError
from kernelkit.magics.triggering import payload_of, read_line, trigger
from kernelkit.testing import VirtualEngine
from kernelkit.ui.form import form_of


class Crop(BaseModel):
    top: int


@kk.task
async def resize_image(
    url: str,
    width: Annotated[int, Field(ge=16)] = 512,
    share: float = 0.5,
    format: Literal["jpeg", "png"] = "png",
    upright: bool = False,
    quality: int | None = None,
    crop: Crop | None = None,
    labels: list[str] = [],  # noqa: B006  # as people write it
    numbers: list[int] = [],  # noqa: B006
    more: Any = None,
) -> dict[str, Any]:
    return {"url": url, "width": width, "labels": labels, "crop": crop.top if crop else None, "quality": quality}


@kk.task
async def sync_crm(payload: list[int]) -> int:
    return sum(payload)


@kk.task
async def nightly() -> str:
    return "done"


NAMES: dict[str, Any] = {"resize_image": resize_image, "sync_crm": sync_crm, "nightly": nightly, "where": "https://v"}


def payload(line: str) -> Any:
    form = form_of(Signature.of(resize_image.function).json_schema())
    return payload_of(read_line(f"t {line}"), form, NAMES)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("url=123", {"url": "123"}),
        ("'url=two words' width=256 share=1", {"url": "two words", "width": 256, "share": 1}),
        ("url=https://a/?b=c format=jpeg upright=yes", {"url": "https://a/?b=c", "format": "jpeg", "upright": True}),
        ("quality=none", {"quality": None}),
        ("quality=7 labels=a,b numbers=1,2", {"quality": 7, "labels": ["a", "b"], "numbers": [1, 2]}),
        ("""labels='["a,b"]' crop='{"top": 4}'""", {"labels": ["a,b"], "crop": {"top": 4}}),
        ("more=text", {"more": "text"}),
        ("more=7", {"more": 7}),
        ("url=$where", {"url": "https://v"}),
        ("""'{"url": "a", "width": "x"}'""", {"url": "a", "width": "x"}),
        ("", None),
    ],
)
def test_words_are_read_as_the_schema_says(line: str, told: Any) -> None:
    assert payload(line) == told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("width=wide", "'wide' is not a whole number"),
        ("width=2.5", "'2.5' is not a whole number"),
        ("upright=maybe", "not true or false"),
        ("format=jpg", "not one of jpeg, png. Did you mean `jpeg`"),
        ("crop={top:4}", "single quotes"),
        ("url=$nowhere", "no variable 'nowhere'"),
        ("numbers=1,x", "'x' is not a whole number"),
        ("url=a url=b", "given twice"),
        ("url=a b", "neither `name=value` nor an option"),
        ("a url=b", "whole payload"),
        ("url='a", "Close the quotes"),
        ("--dealy 10m", "Did you mean `--delay`"),
        ("--delay", "needs a value"),
        ("--delay --tags a", "needs a value"),
        ("--test=yes", "takes no value"),
        ("--metadata {a}", "is not JSON"),
        ("--delay 1m --delay 2m", "given twice"),
    ],
)
def test_what_cannot_be_read_is_told_in_words(line: str, told: str) -> None:
    with pytest.raises(KernelKitError) as problem:
        payload(line)
    assert told in str(problem.value)


def test_options_are_those_of_a_trigger() -> None:
    line = read_line("t --delay=10m --tags a,b --priority 5 --max-attempts 1 --test --metadata '{\"a\": 1}' --ttl 1h")
    assert line.options == {
        "delay": "10m", "tags": ["a", "b"], "priority": 5, "max_attempts": 1, "test": True, "metadata": {"a": 1},
        "ttl": "1h",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["", "   ", "--test", "url=a"])
def test_a_task_comes_first(line: str) -> None:
    with pytest.raises(InvalidOptionError, match="takes a task first"):
        read_line(line)


def test_a_run_is_made_by_name_by_id_and_of_other_processes(kk_engine: VirtualEngine) -> None:
    by_name = trigger("resize_image url=a width=64 --tags x", NAMES)
    by_id = trigger("resize-image url=b", NAMES)
    whole = trigger("sync_crm '[1, 2]'", NAMES)
    listed = trigger("sync_crm payload=1,2,3", NAMES)
    nothing = trigger("nightly", NAMES)
    elsewhere = trigger("resize_image url=c crop='{\"top\": 4}'", {})
    kk_engine.drain()
    assert by_name.result().output == {"url": "a", "width": 64, "labels": [], "crop": None, "quality": None}
    assert by_name.refresh().tags == ("x",)
    assert by_id.result().output["url"] == "b"
    assert (whole.result().output, listed.result().output, nothing.result().output) == (3, 6, "done")
    assert elsewhere.result().output["crop"] == 4


def test_what_the_task_or_the_engine_refuses_stores_nothing(kk_engine: VirtualEngine) -> None:
    with pytest.raises(PayloadValidationError, match="did you mean 'width'"):
        trigger("resize_image url=a widht=64", NAMES)
    with pytest.raises(PayloadValidationError, match="greater than or equal to 16"):
        trigger("resize_image url=a width=1", NAMES)
    with pytest.raises(InvalidOptionError, match="'soon' is not a duration"):
        trigger("resize_image url=a --delay soon", NAMES)
    with pytest.raises(kk.UnknownTaskError, match="Did you mean `resize-image`"):
        trigger("resize-imgae url=a", NAMES)
    assert kk.runs.list().total == 0
