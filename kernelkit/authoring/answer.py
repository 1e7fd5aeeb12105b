"""What a token asks for: its JSON Schema, and answers on their way to JSON and back.

The schema is what counts and is checked by whoever takes the answer in (`rules/answers.py`). What a newcomer would get
wrong: validators written in Python are in no schema. They are asked where the type is at hand: by `token.complete(…)`
of the process that made the token, and where the task waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec
from pydantic import PydanticUserError, TypeAdapter, ValidationError

from kernelkit import jsonvalues
from kernelkit.authoring.annotations import modern
from kernelkit.errors import InvalidOptionError
from kernelkit.rules.answers import check_schema, refused

T = TypeVar("T")


class Answer(Generic[T]):
    """The answer to `token`, of a type or, as a dict, by a JSON Schema.

    >>> Answer(int, "waitpoint_1").schema_text()
    '{"type":"integer"}'
    >>> Answer(int, "waitpoint_1").revive("3")
    3
    """

    def __init__(self, kind: Any, token: str) -> None:  # whatever pydantic takes for a type
        self._kind = kind
        self._token = token

    def schema_text(self) -> str:
        """The JSON Schema; raises `InvalidOptionError` for what has none, or none that answers can be checked by."""
        if isinstance(self._kind, Mapping):
            text = jsonvalues.encode(dict(self._kind), what="the schema of a token", error=InvalidOptionError)
        else:
            try:
                text = msgspec.json.encode(self._adapter().json_schema()).decode()
            except PydanticUserError as cause:
                raise self._unusable() from cause
        check_schema(text)
        return text

    def encode(self, value: Any) -> str:
        """JSON text; raises `PayloadValidationError` for what the type does not take."""
        try:
            self._adapter().validate_python(value)
        except ValidationError as cause:
            raise refused(self._token, cause) from None
        return jsonvalues.encode(value, what="the data of the token")

    def revive(self, text: str) -> T:
        """The value; raises `PayloadValidationError` for what the type does not take."""
        try:
            return cast(T, self._adapter().validate_json(text))
        except ValidationError as cause:
            raise refused(self._token, cause) from None

    def _adapter(self) -> TypeAdapter[Any]:
        try:
            return TypeAdapter(modern(self._kind))
        except (PydanticUserError, TypeError) as cause:
            raise self._unusable() from cause

    def _unusable(self) -> InvalidOptionError:
        return InvalidOptionError(
            f"schema={self._kind!r:.200} has no JSON Schema. Give a pydantic model, a dataclass, a TypedDict, a plain "
            "type, or a JSON Schema as a dict.",
            field="schema",
        )
