"""What type annotations mean, where pydantic or `inspect` need a hand."""

from __future__ import annotations

import collections.abc
import functools
import operator
import sys
import types
import typing
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import typing_extensions
from pydantic import BaseModel


def modern(annotation: Any) -> Any:
    """`annotation` with `typing.TypedDict`s as typing_extensions' own: before Python 3.12 pydantic reads no others."""
    if sys.version_info >= (3, 12):
        return annotation
    if typing.is_typeddict(annotation):
        if type(annotation).__module__ == "typing_extensions":
            return annotation
        hints = typing.get_type_hints(annotation, include_extras=True)
        needed = annotation.__required_keys__
        fields = {
            name: (typing_extensions.Required if name in needed else typing_extensions.NotRequired)[modern(hint)]
            for name, hint in hints.items()
        }
        make: Any = typing_extensions.TypedDict  # to a type checker not a function
        made = make(annotation.__name__, fields)
        made.__module__, made.__doc__ = annotation.__module__, annotation.__doc__
        return made
    inner = get_args(annotation)
    if not inner or get_origin(annotation) in {Annotated, Literal, collections.abc.Callable}:
        return annotation
    changed = tuple(modern(one) for one in inner)
    if changed == inner:
        return annotation
    if isinstance(annotation, types.UnionType):
        return functools.reduce(operator.or_, changed)
    return annotation.copy_with(changed) if hasattr(annotation, "copy_with") else get_origin(annotation)[changed]


def bare(annotation: Any) -> Any:
    """The class behind an annotation: `dict` of `Annotated[dict[str, int], …]`."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_origin(annotation) or annotation


def is_model(kind: Any) -> bool:
    """Has `kind` fields of its own: a pydantic model, a dataclass or a TypedDict."""
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind) or typing.is_typeddict(kind))
