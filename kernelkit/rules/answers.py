"""Whether an answer fits what a token asks for, told by a JSON Schema.

The schema is turned into pydantic's own validators, which are quick, know no runaway patterns, and say what is wrong in
the words that payloads are refused with. What a newcomer would get wrong: what cannot be checked is refused when the
token is made (`check_schema`), so a schema that stands is meant to the letter; and "3" is no number here, because the
answer is kept as it was written.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, NoReturn
from urllib.parse import unquote

import msgspec
from pydantic_core import CoreSchema, PydanticCustomError, SchemaError, SchemaValidator, ValidationError
from pydantic_core import core_schema as cs

from kernelkit.errors import InvalidOptionError, PayloadValidationError

MAX_SCHEMA_BYTES = 16_384
MAX_ANSWER_BYTES = 65_536

_TOLD = frozenset(
    "title description default examples deprecated readOnly writeOnly $comment $schema $id $defs definitions "
    "discriminator contentMediaType contentEncoding".split()
)
"""Says something about a value, and forbids none."""
_WORDS = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "object": frozenset(
        "properties required additionalProperties patternProperties propertyNames minProperties maxProperties".split()
    ),
    "boolean": frozenset[str](),
    "null": frozenset[str](),
}
_WORDS["number"] = _WORDS["integer"]
_FORMATS = {
    "date": cs.date_schema(),
    "date-time": cs.datetime_schema(),
    "time": cs.time_schema(),
    "duration": cs.timedelta_schema(),
    "uuid": cs.uuid_schema(),
    "uri": cs.url_schema(),
}
_LIMITS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}


def check_schema(schema: str) -> None:
    """Raise `InvalidOptionError` for what is no JSON Schema, or one that answers cannot be checked by.

    >>> check_schema('{"type": "object", "properties": {"amount": {"type": "integer"}}}')
    >>> check_schema('{"type": "object", "if": {}}')  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    kernelkit.errors.InvalidOptionError: Answers cannot be checked by this JSON Schema: it says 'if' beside 'type'. ...
    """
    size = len(schema.encode())
    if size > MAX_SCHEMA_BYTES:
        raise InvalidOptionError(
            f"The JSON Schema of an answer has {size:,} bytes; at most {MAX_SCHEMA_BYTES:,} are kept.", field="schema"
        )
    _validator(schema)


def check_answer(schema: str, text: str, token: str) -> None:
    """Raise `PayloadValidationError`, which names the fields, for an answer (JSON) that does not fit.

    >>> check_answer('{"type": "integer", "minimum": 1}', "0", "waitpoint_1")
    Traceback (most recent call last):
    ...
    kernelkit.errors.PayloadValidationError: The answer to token waitpoint_1 does not fit what it asks for:
      Input should be greater than or equal to 1
    """
    size = len(text.encode())
    if size > MAX_ANSWER_BYTES:
        said = f"It has {size:,} bytes of JSON; at most {MAX_ANSWER_BYTES:,} are taken where an answer has a schema"
        raise _refusal(token, [{"loc": [], "msg": said, "type": "too_large"}])
    try:
        _validator(schema).validate_json(text)
    except ValidationError as cause:
        raise refused(token, cause) from None


def refused(token: str, cause: ValidationError) -> PayloadValidationError:
    """What pydantic has against an answer, in words and by field."""
    found = cause.errors(include_url=False, include_context=False, include_input=False)
    return _refusal(token, [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in found])


def _refusal(token: str, errors: list[dict[str, Any]]) -> PayloadValidationError:
    lines = [": ".join(part for part in (".".join(map(str, one["loc"])), one["msg"]) if part) for one in errors[:20]]
    return PayloadValidationError(
        "\n  ".join([f"The answer to token {token} does not fit what it asks for:", *lines]), errors=errors[:50]
    )


@functools.lru_cache(maxsize=64)
def _validator(schema: str) -> SchemaValidator:
    try:
        return SchemaValidator(_Reader(msgspec.json.decode(schema)).whole())
    except (msgspec.DecodeError, SchemaError, RecursionError, TypeError, ValueError, AttributeError) as cause:
        _refuse(f"it cannot be read ({str(cause).strip().splitlines()[-1][:200]})", cause)


def _refuse(why: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidOptionError(
        f"Answers cannot be checked by this JSON Schema: {why}. Leave that out and check it where the task waits, or "
        "give a pydantic model.",
        field="schema",
    ) from cause


class _Reader:
    """Makes pydantic's validators of one JSON Schema."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._named: dict[str, Any] = {}  # by reference: what is used of its definitions
        self._place = ""  # the definition that is being read, until its value is gone into
        self._same: dict[str, set[str]] = {}  # definitions that are others, without going into a value

    def whole(self) -> CoreSchema:
        made = self._read(self._schema)
        definitions: dict[str, CoreSchema] = {}
        while left := self._named.keys() - definitions.keys():
            for ref in left:
                self._place = ref
                # `ref` would have no place in a definition that is only the name of another.
                definitions[ref] = cs.chain_schema([self._read(self._named[ref])], ref=ref)
        try:
            TopologicalSorter(self._same).prepare()
        except CycleError:
            _refuse("a definition in it means itself")
        return cs.definitions_schema(made, list(definitions.values())) if definitions else made

    def _read(self, schema: Any) -> CoreSchema:
        if schema is True:
            return cs.any_schema()
        if not isinstance(schema, Mapping):
            _refuse(f"{schema!r:.80} is no schema")
        words = schema.keys() - _TOLD
        for word, read in (("$ref", self._ref), ("anyOf", self._any), ("oneOf", self._any), ("allOf", self._all)):
            if word in words:
                self._only(words, {word, "type"} if word != "$ref" else {word})
                return read(schema[word])
        if "const" in words or "enum" in words:
            self._only(words, {"const", "enum", "type"})
            return cs.literal_schema([schema["const"]] if "const" in words else list(schema["enum"]))
        kind = schema.get("type")
        if kind is None:
            self._only(words, set())
            return cs.any_schema()
        if isinstance(kind, list):
            return cs.union_schema(
                [self._read({**schema, "type": one} if one != "null" else {"type": one}) for one in kind]
            )
        if kind not in _WORDS:
            _refuse(f"it knows no type {kind!r}")
        self._only(words, {"type", *_WORDS[kind]})
        place, self._place = self._place, self._place if kind not in ("array", "object") else ""
        made: CoreSchema = getattr(self, f"_{kind}")(schema)
        self._place = place
        return made

    def _only(self, words: set[str], known: set[str]) -> None:
        for word in sorted(words - known):
            _refuse(f"it says {word!r}" + (f" beside {sorted(known & words)[0]!r}" if known & words else ""))

    def _ref(self, ref: str) -> CoreSchema:
        found: Any = self._schema
        for part in ref.removeprefix("#/").split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, Mapping) else None
        if not ref.startswith("#/") or not isinstance(found, Mapping):
            _refuse(f"{ref!r} is not in it")
        self._named[ref] = found
        self._same.setdefault(self._place, set()).add(ref)
        return cs.definition_reference_schema(ref)

    def _any(self, schemas: list[Any]) -> CoreSchema:
        some = [one for one in schemas if not (isinstance(one, Mapping) and one.get("type") == "null")]
        made = self._read(some[0]) if len(some) == 1 else cs.union_schema([self._read(one) for one in some])
        return made if len(some) == len(schemas) else cs.nullable_schema(made)

    def _all(self, schemas: list[Any]) -> CoreSchema:
        if len(schemas) != 1:
            _refuse("it says 'allOf'")
        return self._read(schemas[0])

    def _string(self, schema: Mapping[str, Any]) -> CoreSchema:
        made = cs.str_schema(
            min_length=schema.get("minLength"), max_length=schema.get("maxLength"), pattern=schema.get("pattern")
        )
        form = _FORMATS.get(schema.get("format", ""))
        return made if form is None else cs.chain_schema([made, form])

    def _integer(self, schema: Mapping[str, Any]) -> CoreSchema:
        return cs.int_schema(strict=True, **self._limits(schema))

    def _number(self, schema: Mapping[str, Any]) -> CoreSchema:
        return cs.float_schema(strict=True, allow_inf_nan=False, **self._limits(schema))

    def _limits(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {name: schema[word] for word, name in _LIMITS.items() if word in schema}

    def _boolean(self, _: Mapping[str, Any]) -> CoreSchema:
        return cs.bool_schema(strict=True)

    def _null(self, _: Mapping[str, Any]) -> CoreSchema:
        return cs.none_schema()

    def _array(self, schema: Mapping[str, Any]) -> CoreSchema:
        low, high, items = schema.get("minItems"), schema.get("maxItems"), schema.get("items", True)
        made: CoreSchema
        if "prefixItems" in schema:
            first = [self._read(one) for one in schema["prefixItems"]]
            if (low, high) != (len(first), len(first)):
                _refuse("it says 'prefixItems' without as many 'minItems' and 'maxItems'")
            made = cs.tuple_schema(first)
        else:
            made = cs.list_schema(self._read(items), min_length=low, max_length=high)
        return cs.no_info_after_validator_function(_unique, made) if schema.get("uniqueItems") else made

    def _object(self, schema: Mapping[str, Any]) -> CoreSchema:
        others = schema.get("additionalProperties", True)
        if "properties" not in schema:
            self._only(schema.keys() & {"required"}, set())
            keys = self._read({"type": "string", **schema.get("propertyNames", {})})
            if "patternProperties" in schema:
                ((pattern, others),) = schema["patternProperties"].items()
                keys = cs.str_schema(pattern=pattern)
            low, high = schema.get("minProperties"), schema.get("maxProperties")
            if others is False:
                return cs.typed_dict_schema({}, extra_behavior="forbid")
            return cs.dict_schema(keys, self._read(others), min_length=low, max_length=high)
        self._only(schema.keys() & (_WORDS["object"] - {"properties", "required", "additionalProperties"}), set())
        needed = set(schema.get("required", ()))
        if missing := needed - schema["properties"].keys():
            _refuse(f"it requires {min(missing)!r}, which is none of its properties")
        fields = {
            name: cs.typed_dict_field(self._read(of), required=name in needed)
            for name, of in schema["properties"].items()
        }
        if others is False:
            return cs.typed_dict_schema(fields, extra_behavior="forbid")
        return cs.typed_dict_schema(fields, extra_behavior="allow", extras_schema=self._read(others))


def _unique(items: list[Any]) -> list[Any]:
    if len({msgspec.json.encode(one, order="deterministic", enc_hook=str) for one in items}) != len(items):
        raise PydanticCustomError("unique", "Items should differ from one another")
    return items
