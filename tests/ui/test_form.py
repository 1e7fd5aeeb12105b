"""A payload's JSON Schema as a form."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from kernelkit.authoring.signature import Signature
from kernelkit.ui.form import Field as FormField
from kernelkit.ui.form import Form, bounds, form_of, told


class Crop(BaseModel):
    left: int = 0
    top: int
    gravity: Literal["center", "face"] = "face"


class Deep(BaseModel):
    crop: Crop
    more: Deep | None = None


class Colour(Enum):
    RED = "red"
    ONE = 1


def form(function: Callable[..., Any]) -> Form:
    return form_of(Signature.of(function).json_schema())


def fields(function: Callable[..., Any]) -> dict[str, FormField]:
    return {field.name: field for field in form(function).fields}


def test_each_annotation_has_its_control() -> None:
    def task(
        url: str,
        width: Annotated[int, Field(ge=16, le=4096)] = 512,
        share: float = 0.5,
        kind: Literal["jpeg", "png"] = "png",
        colour: Colour = Colour.RED,
        upright: bool = False,
        maybe: bool | None = None,
        quality: Annotated[int | None, Field(ge=1, le=100)] = None,
        story: Annotated[str, Field(max_length=1000)] = "",
        labels: list[str] = [],  # noqa: B006  # a task's default, as people write it
        numbers: set[int] = set(),  # noqa: B006
        day: date | None = None,
        expires: datetime | None = None,
        at: time | None = None,
        lasts: timedelta | None = None,
        either: int | str = 1,
        table: dict[str, int] = {},  # noqa: B006
        pair: tuple[int, str] = (1, "a"),
        crops: list[Crop] = [],  # noqa: B006
        anything: Any = None,
        crop: Crop | None = None,
    ) -> None: ...

    kinds = {name: field.kind for name, field in fields(task).items()}
    assert kinds == {
        "url": "text", "width": "number", "share": "number", "kind": "choice", "colour": "choice", "upright": "check",
        "maybe": "choice", "quality": "number", "story": "area", "labels": "list", "numbers": "list", "day": "date",
        "expires": "datetime", "at": "time", "lasts": "text", "either": "json", "table": "json", "pair": "json",
        "crops": "json", "anything": "json", "crop": "group",
    }  # fmt: skip


def test_a_field_knows_what_it_must_and_may_be() -> None:
    def task(
        url: Annotated[str, Field(description="Where to read from", pattern="^https?://")],
        width: Annotated[int, Field(ge=16, le=4096)] = 512,
        share: Annotated[float | None, Field(gt=0, lt=1)] = None,
        kind: Literal["jpeg", "png"] = "png",
    ) -> None: ...

    found = fields(task)
    assert (found["url"].required, found["url"].hint, found["url"].pattern) == (
        True,
        "Where to read from",
        "^https?://",
    )
    assert (found["width"].low, found["width"].high, found["width"].hint) == (16, 4096, "16 – 4,096")
    assert (found["width"].initial, found["width"].integer, found["width"].required) == (512, True, False)
    assert (found["share"].above, found["share"].below, found["share"].nullable) == (0, 1, True)
    assert found["share"].hint == "optional; over 0, under 1"
    assert [(choice.label, choice.value) for choice in found["kind"].choices] == [("jpeg", "jpeg"), ("png", "png")]


def test_objects_nest_two_deep_and_are_json_below() -> None:
    def task(deep: Deep, crop: Crop | None = None) -> None: ...

    found = fields(task)
    inner = {field.name: field for field in found["deep"].fields}
    assert inner["crop"].kind == "group"
    assert inner["more"].kind == "group"
    assert {field.kind for field in inner["more"].fields} == {"json"}
    assert found["crop"].nullable
    assert [field.required for field in found["crop"].fields] == [False, True, False]


def test_a_whole_payload_is_its_fields_or_one_control() -> None:
    def by_model(payload: Crop) -> None: ...
    def by_list(payload: list[int]) -> None: ...
    def untyped(payload) -> None: ...  # type: ignore[no-untyped-def]  # as people write it
    def none() -> None: ...

    assert [field.name for field in form(by_model).fields] == ["left", "top", "gravity"]
    assert not form(by_model).whole
    assert [(field.name, field.kind) for field in form(by_list).fields] == [("payload", "list")]
    assert form(by_list).whole
    assert [field.kind for field in form(untyped).fields] == ["json"]
    assert form(none) == Form(fields=())


@pytest.mark.parametrize(
    "schema",
    [
        "", "null", "[]", "{}", '{"$ref": "#/$defs/Gone"}', '{"type": "object"}', '{"type": ["string", "null"]}',
        '{"type": "object", "properties": {"b": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"$ref": "#/$defs/b"}}}',
        '{"type": "object", "properties": {"a": true}}',
        '{"anyOf": [{"type": "null"}]}', '{"anyOf": []}', '{"type": "array", "items": true}', '{"enum": []}',
        '{"type": "object", "properties": {"n": {"type": "integer", "minimum": "low", "enum": null}}}',
    ],
)  # fmt: skip
def test_there_is_a_form_for_every_schema(schema: str) -> None:
    assert isinstance(form_of(schema), Form)


def test_what_a_schema_says_is_cleaned_and_cut() -> None:
    hostile = "\x1b[31m<script>\u202e" + "x" * 10_000
    schema = {"type": "object", "properties": {"a": {"type": "string", "description": hostile, "pattern": "(?<n>a)"}}}
    field = form_of(json.dumps(schema)).fields[0]
    assert field.hint.startswith("<script>x")
    assert len(field.hint) <= 300
    assert field.pattern == "", "a browser may read it differently"


def test_bounds_and_fields_are_told_in_words() -> None:
    assert bounds(FormField(name="n", kind="number", above=0)) == "over 0"
    assert bounds(FormField(name="n", kind="number", low=1)) == "at least 1"

    def task(url: str, width: Annotated[int, Field(ge=16, le=4096)] = 512, crop: Crop | None = None) -> None: ...

    assert [told(field) for field in form(task).fields] == [
        "text, required",
        "whole number, 16 – 4,096, else 512",
        "object of left, top, gravity, object, optional",
    ]
