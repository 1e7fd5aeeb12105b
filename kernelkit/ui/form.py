"""Reads a payload's JSON Schema as a form: which control for which field, and what may be checked on leaving it.

Pure. What is no text, number, choice, date, list of those or object of such becomes JSON to be typed, so there is a
form for every schema. The form checks only what it is sure of; pydantic decides on the trigger. What a newcomer would
get wrong: a field left as it was is not sent, so that the default that counts is the task's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from kernelkit.ui import words

Kind = Literal["text", "area", "number", "choice", "check", "group", "list", "date", "datetime", "time", "json"]

MAX_DEPTH = 2  # objects in objects beyond that are JSON
AREA_FROM = 200  # characters from which a text gets several lines
MAX_FIELDS = 60
MAX_CHOICES = 200
_FORMATS: dict[str, Kind] = {"date": "date", "date-time": "datetime", "time": "time"}
_NAMES = {
    "uri": "URL",
    "email": "e-mail address",
    "uuid": "UUID",
    "duration": "duration such as PT10M",
}
_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no"}


class Choice(msgspec.Struct, frozen=True):
    label: str
    value: Any


class Field(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One control. `initial` is what it begins with; left so, the field is not sent unless it is `required`."""

    name: str
    kind: Kind
    label: str = ""  # where it is not the name
    hint: str = ""
    required: bool = False
    nullable: bool = False  # empty is none
    has_default: bool = False
    initial: Any = None
    integer: bool = False
    low: float | None = None
    high: float | None = None
    above: float | None = None  # low and high that are not meant themselves
    below: float | None = None
    step: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str = ""
    choices: tuple[Choice, ...] = ()
    fields: tuple[Field, ...] = ()
    item: Field | None = None
    max_items: int | None = None
    placeholder: str = ""


class Form(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`whole`: the one field is the payload itself. Without fields the task takes none."""

    fields: tuple[Field, ...]
    whole: bool = False


def form_of(schema_text: str) -> Form:
    """The form for a payload of that schema.

    >>> form_of('{"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}').fields[0].kind
    'number'
    """
    schema = json.loads(schema_text or "{}")
    if not isinstance(schema, dict):
        schema = {}
    if schema.get("type") == ["object", "null"]:  # of a function without parameters
        return Form(fields=())
    reader = _Reader(schema.get("$defs") or {})
    top = reader.resolved(schema)
    properties = top.get("properties")
    if top.get("type") == "object" and isinstance(properties, dict) and properties and len(properties) <= MAX_FIELDS:
        needed = top.get("required") or ()
        return Form(fields=tuple(reader.field(name, of, name in needed, 0) for name, of in properties.items()))
    if top.get("type") == "object" and properties == {} and top.get("additionalProperties") is False:
        return Form(fields=())
    field = reader.field("payload", schema, False, 0)
    return Form(fields=(field,), whole=True)


class _Reader:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def resolved(self, schema: Any) -> dict[str, Any]:  # any JSON value: schemas may be written by hand
        """With a `$ref` followed; what stands beside it goes first."""
        for _ in range(10):
            if not isinstance(schema, dict):
                return {}
            inner = schema.get("allOf")
            if isinstance(inner, list) and len(inner) == 1 and isinstance(inner[0], dict):
                schema = {**inner[0], **{key: value for key, value in schema.items() if key != "allOf"}}
                continue
            name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
            if not name:
                return schema
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**(self._definitions.get(name) or {}), **beside}
        return {}

    def field(self, name: str, given: Any, required: bool, depth: int) -> Field:
        outer = self.resolved(given)
        nullable, schema = self._without_null(outer)
        common: dict[str, Any] = {
            "name": name,
            "required": required,
            "nullable": nullable,
            "has_default": "default" in outer,
            "initial": outer.get("default"),
        }
        described = words.clean(str(outer.get("description") or schema.get("description") or ""))[:300]
        made = self._control(schema, common, depth)
        hints = [described, *_hints(schema, made)]
        return msgspec.structs.replace(made, hint="; ".join(hint for hint in hints if hint))

    def _control(self, schema: dict[str, Any], common: dict[str, Any], depth: int) -> Field:
        kind = schema.get("type")
        options = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(options, list) and options and len(options) <= MAX_CHOICES:
            choices = tuple(Choice(_label(option), option) for option in options if option is not None)
            return Field(kind="choice", choices=choices, **common)
        if kind == "boolean" and not common["nullable"]:
            return Field(kind="check", **common)
        if kind == "boolean":
            return Field(kind="choice", choices=(Choice("yes", True), Choice("no", False)), **common)
        if kind in ("integer", "number"):
            return Field(
                kind="number",
                integer=kind == "integer",
                low=_number(schema, "minimum"),
                high=_number(schema, "maximum"),
                above=_number(schema, "exclusiveMinimum"),
                below=_number(schema, "exclusiveMaximum"),
                step=_number(schema, "multipleOf"),
                **common,
            )
        if kind == "string":
            return self._text(schema, common)
        if kind == "object" and isinstance(schema.get("properties"), dict) and depth < MAX_DEPTH:
            properties, needed = schema["properties"], schema.get("required") or ()
            if 0 < len(properties) <= MAX_FIELDS:
                inner = tuple(self.field(key, of, key in needed, depth + 1) for key, of in properties.items())
                return Field(kind="group", fields=inner, **common)
        if kind == "array" and "items" in schema and not schema.get("prefixItems"):
            item = self.field("item", schema["items"], True, MAX_DEPTH)
            if item.kind in ("text", "number", "date") and not item.nullable:
                return Field(kind="list", item=item, max_items=schema.get("maxItems"), **common)
        return Field(kind="json", **common)

    def _text(self, schema: dict[str, Any], common: dict[str, Any]) -> Field:
        form = schema.get("format")
        longest = schema.get("maxLength")
        if form in _FORMATS:
            return Field(kind=_FORMATS[form], **common)
        kind: Kind = "area" if isinstance(longest, int) and longest > AREA_FROM else "text"
        pattern = schema.get("pattern")
        return Field(
            kind=kind,
            min_length=schema.get("minLength"),
            max_length=longest,
            pattern=pattern if isinstance(pattern, str) and _is_plain(pattern) else "",
            **common,
        )

    def _without_null(self, schema: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        """Whether none is allowed, and the schema of anything else."""
        either = schema.get("anyOf")
        if not isinstance(either, list):
            return False, schema
        others = [one for one in either if not (isinstance(one, dict) and one.get("type") == "null")]
        if len(others) == len(either) or len(others) != 1:
            return len(others) != len(either), {"description": schema.get("description")} if others else schema
        return True, self.resolved(others[0])


def _label(option: Any) -> str:  # any JSON value
    return words.cut(words.clean(option if isinstance(option, str) else json.dumps(option, ensure_ascii=False)), 60)


def _number(schema: Mapping[str, Any], key: str) -> float | None:
    value = schema.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_plain(pattern: str) -> bool:
    """Whether a browser reads the pattern as pydantic does: nothing that the two spell differently."""
    return not re.search(r"\(\?|\\[pPAzZhHRKX]|\[\[:|\[\^?\]", pattern) and len(pattern) <= 200


def _hints(schema: Mapping[str, Any], field: Field) -> list[str]:
    """What a person should know before typing."""
    told = ["optional"] if field.nullable else []
    if field.kind == "number":
        told.append(bounds(field))
    elif field.kind in ("text", "area"):
        told.append(_NAMES.get(str(schema.get("format")), ""))
        if field.max_length is not None and field.kind == "area":
            told.append(f"at most {words.number(field.max_length)} characters")
    elif field.kind == "list" and field.item is not None:
        kind = "date" if field.item.kind == "date" else _WORDS["string" if field.item.kind == "text" else "number"]
        most = f", at most {field.max_items}" if field.max_items is not None else ""
        told.append(f"list of {kind}{most}")
    elif field.kind == "json":
        told.append(_json_hint(schema))
    elif field.kind == "group" and field.nullable:
        told = ["object, optional"]
    return told


def bounds(field: Field) -> str:
    """
    >>> bounds(Field(name="width", kind="number", low=16, high=4096))
    '16 – 4,096'
    """
    low = field.low if field.low is not None else field.above
    high = field.high if field.high is not None else field.below
    over, under = field.low is None and low is not None, field.high is None and high is not None
    if low is not None and high is not None and not over and not under:
        return f"{words.number(low)} – {words.number(high)}"
    parts = []
    if low is not None:
        parts.append(f"{'over' if over else 'at least'} {words.number(low)}")
    if high is not None:
        parts.append(f"{'under' if under else 'at most'} {words.number(high)}")
    return ", ".join(parts)


def _json_hint(schema: Mapping[str, Any]) -> str:
    match schema.get("type"):
        case "object":
            return "JSON object"
        case "array":
            return "JSON list"
        case _:
            return "JSON"


def told(field: Field) -> str:
    """A field in a few words, for faces without controls."""
    if field.kind == "choice":
        kind = " or ".join(choice.label for choice in field.choices[:8]) + (" …" if len(field.choices) > 8 else "")
    elif field.kind == "group":
        kind = f"object of {', '.join(inner.name for inner in field.fields)}"
    else:
        whole = "whole number" if field.integer else ""
        kind = whole or {"area": "text", "check": "yes or no", "json": "", "list": ""}.get(field.kind, field.kind)
    if field.has_default and field.initial is not None:
        default = f"else {words.cut(json.dumps(field.initial, ensure_ascii=False), 60)}"
    else:
        default = "required" if field.required else ""
    return ", ".join(part for part in (kind, field.hint, default) if part)
