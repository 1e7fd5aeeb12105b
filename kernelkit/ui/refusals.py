"""What is wrong with a value that a person gave, for the fields of the form that it came from."""

from __future__ import annotations

from typing import Any, TypedDict

from kernelkit.errors import PayloadValidationError
from kernelkit.ui import words

MOST = 50
_SAID = {"missing": "Required", "missing_argument": "Required", "extra_forbidden": "There is no such field"}


class FieldError(TypedDict):
    """`path` is of names and indexes, as in the value; empty where it is about the whole."""

    path: list[str | int]
    text: str


def field_errors(problem: Exception) -> list[FieldError]:
    """Of a refused payload or answer; empty for any other refusal."""
    if not isinstance(problem, PayloadValidationError):
        return []
    return [_at_field(one) for one in problem.facts.get("errors", [])[:MOST]]


def _at_field(one: dict[str, Any]) -> FieldError:
    said = words.cut(words.clean(_SAID.get(one["type"]) or str(one["msg"])), 300)
    return {"path": [part for part in one["loc"] if isinstance(part, str | int)], "text": said}
