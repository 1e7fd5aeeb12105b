"""The one JSON codec for payloads, outputs and metadata.

pydantic's encoders (dates, models, dataclasses, sets, enums, paths, Decimals …) plus numpy scalars. JSON has no NaN or
infinity, so those travel as `{"$float": "nan"}` and come back as floats; DataFrames, arrays and other bulk are refused.
pydantic is loaded at the first value, because a notebook that loads the extension has none yet.

What a newcomer would get wrong: pydantic's models write NaN as null whatever they are asked for, so a null in the text
is looked into. And a person's own `{"$float": x}` is no float: it travels as `{"$float": [x]}`.
"""

from __future__ import annotations

import functools
import importlib
import math
from typing import Any

import msgspec

from kernelkit.errors import KernelKitError, PayloadNotSerializableError

_TAG = "$float"
_TEXTS = {"nan", "inf", "-inf"}


def encode(value: Any, *, what: str, error: type[KernelKitError] = PayloadNotSerializableError) -> str:
    """JSON text of any `value` that JSON can carry, else `error` naming `what` and the fix.

    >>> encode({"n": 1, "x": float("nan")}, what="the payload")
    '{"n":1,"x":{"$float":"nan"}}'
    """
    core = _pydantic_core()
    try:
        text: str = core.to_json(value, inf_nan_mode="constants", fallback=_fallback).decode()
        special = "NaN" in text or "Infinity" in text or _TAG in text
        if special or ("null" in text and value is not None):
            plain = core.to_jsonable_python(value, inf_nan_mode="constants", fallback=_fallback)
            if special or _has_other_floats(core.to_json(plain, inf_nan_mode="constants")):
                text = msgspec.json.encode(_tagged(plain)).decode()
    except (core.PydanticSerializationError, ValueError, TypeError, RecursionError) as cause:
        raise error(f"{what} cannot be written as JSON: {_reason(cause)}") from cause
    return text


def decode(text: str) -> Any:
    """The value of JSON text from `encode`.

    >>> decode('{"n":1,"x":{"$float":"inf"}}')
    {'n': 1, 'x': inf}
    """
    value = msgspec.json.decode(text)
    return _untagged(value) if f'"{_TAG}"' in text else value


def plain_number(value: Any) -> Any:
    """A numpy number or truth value, such as one out of a DataFrame, as Python's own; anything else as it is.

    >>> plain_number(3), plain_number("3")
    (3, '3')
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "") if type(value).__module__ == "numpy" else ""
    return value.item() if kind and kind in "biuf" and value.shape == () else value


@functools.cache
def _pydantic_core() -> Any:  # the module
    return importlib.import_module("pydantic_core")


def _has_other_floats(raw: bytes) -> bool:
    return b"NaN" in raw or b"Infinity" in raw


def _fallback(value: Any) -> Any:
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    if home == "numpy" and not getattr(value, "shape", (1,)):  # numpy scalars have an empty shape
        return value.item()
    if kind.__name__ == "NAType":
        raise TypeError("it holds pandas.NA, which JSON has no word for; put None in its place")
    if home in {"numpy", "pandas", "polars", "pyarrow", "torch"}:
        raise TypeError(
            f"it holds a {kind.__module__}.{kind.__qualname__}. Write bulk data to a file and pass its path, "
            "or convert a small one with .tolist()"
        )
    raise TypeError(f"it holds a {kind.__module__}.{kind.__qualname__}; convert it to numbers, text, lists or dicts")


def _reason(cause: Exception) -> str:
    text = str(cause)
    if "'float' object cannot be interpreted as an integer" in text:  # of a datetime whose year is NaN
        return "it holds pandas.NaT, a date that is none; put None in its place."
    for noise in ("Error calling `fallback`: ", "Error serializing to JSON: ", "TypeError: "):
        text = text.replace(noise, "")
    return text if text.endswith(".") else text + "."


def _tagged(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_TAG: str(value)}
    if isinstance(value, dict):
        if len(value) == 1 and _TAG in value:
            return {_TAG: [_tagged(value[_TAG])]}
        return {key: _tagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    return value


def _untagged(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and _TAG in value:
            held = value[_TAG]
            if isinstance(held, str) and held in _TEXTS:
                return float(held)
            if isinstance(held, list) and len(held) == 1:
                return {_TAG: _untagged(held[0])}
        return {key: _untagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    return value
