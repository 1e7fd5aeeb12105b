"""Values of a declared type on their way to JSON and back: what a stream was defined with.

Without a type any JSON value goes. With one, a value is checked where it is given and revived where it is read.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from kernelkit import jsonvalues
from kernelkit.errors import InvalidOptionError, PayloadValidationError

T = TypeVar("T")


class Typed(Generic[T]):
    """Checks, encodes and decodes values of one type, for the stream `name`.

    >>> Typed(int, "counts").encode(3)
    '3'
    >>> Typed(int, "counts").encode("three")
    Traceback (most recent call last):
    ...
    kernelkit.errors.PayloadValidationError: 'three' is no value for the stream 'counts': Input should be a valid \
integer, unable to parse string as an integer
    """

    def __init__(self, kind: Any, name: str) -> None:  # whatever pydantic takes for a type
        self._name = name
        self._adapter: TypeAdapter[T] | None = None
        if kind is not Any:
            try:
                self._adapter = TypeAdapter(kind)
            except (PydanticUserError, TypeError) as cause:
                raise InvalidOptionError(
                    f"The stream {name!r} cannot have values of {kind!r}, which JSON cannot be turned into. Use plain "
                    "types, a pydantic model, a dataclass or a TypedDict.",
                    field="type",
                ) from cause

    def encode(self, value: Any) -> str:  # any value; wrong ones are refused
        """JSON text; raises `PayloadValidationError` and `PayloadNotSerializableError`."""
        if self._adapter is not None:
            try:
                value = self._adapter.validate_python(value)
            except ValidationError as cause:
                said = "; ".join(one["msg"] for one in cause.errors(include_url=False, include_context=False)[:3])
                shown = repr(value)
                raise PayloadValidationError(
                    f"{shown if len(shown) <= 80 else shown[:77] + '…'} is no value for the stream {self._name!r}: "
                    f"{said}"
                ) from None
        return jsonvalues.encode(value, what=f"a value of the stream {self._name!r}")

    def decode(self, text: str) -> T:
        """The value; one of another type than declared (an older definition's) stays what JSON makes of it."""
        value = jsonvalues.decode(text)
        if self._adapter is not None:
            try:
                return self._adapter.validate_python(value)
            except ValidationError:
                pass  # it was appended under another definition
        return cast(T, value)
