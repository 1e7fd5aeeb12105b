"""A task function's parameters, read as the shape of its payload.

Parameters are the payload's fields and their annotations its schema, as in a FastAPI endpoint. What a newcomer would
get wrong: the client checks a payload but sends the *original* input; the worker parses it again, so that converters
and defaults run once, there. What needs pydantic is in `shape.py`, opened when the first payload or schema needs it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from kernelkit import jsonvalues
from kernelkit.errors import PayloadValidationError, TaskDefinitionError

if TYPE_CHECKING:
    from kernelkit.authoring.shape import Shape

Injected = Literal["ctx", "signal", "init"]

_INJECTED_NAMES: dict[str, Injected] = {"ctx": "ctx", "signal": "signal", "init": "init"}
# By name, so that reading a signature needs none of the machinery behind a running attempt.
_INJECTED_TYPES: dict[tuple[str, str], Injected] = {
    ("kernelkit.authoring.context", "Context"): "ctx",
    ("kernelkit.authoring.cancelsignal", "CancelSignal"): "signal",
}


class Signature:
    """What a task function takes and gives back.

    >>> def resize(url: str, width: int = 512) -> dict: ...
    >>> shape = Signature.of(resize)
    >>> shape.text
    '(url: str, width: int = 512)'
    >>> shape.parse('{"url": "a.png", "width": "64"}')
    ((), {'url': 'a.png', 'width': 64})
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name: str = getattr(function, "__name__", type(function).__name__)
        self.qualname: str = getattr(function, "__qualname__", self.name)
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError) as cause:
            raise TaskDefinitionError(f"{function!r} cannot be a task: its parameters cannot be read.") from cause
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TaskDefinitionError(f"{self.name} cannot be a task: it yields. Return a list instead.")
        self.injections: Mapping[str, Injected] = {}
        """Parameter name → what the runner hands in for it."""
        fields: dict[str, inspect.Parameter] = {}
        self.extra: inspect.Parameter | None = None
        for name, parameter in parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL:
                raise TaskDefinitionError(
                    f"{self.name} cannot be a task: *{name} has no place in a payload. Take a list: {name}: list."
                )
            injected = self._injected(name, parameter)
            if injected is not None:
                self.injections[name] = injected
            elif parameter.kind is parameter.VAR_KEYWORD:
                self.extra = parameter
            else:
                fields[name] = parameter
        self.fields = fields
        self.whole = list(fields) == ["payload"] and self.extra is None
        """True when one parameter named `payload` takes everything."""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Signature:
        """The signature of `function`; raises `TaskDefinitionError` for one that cannot be a task."""
        return cls(function)

    # ---- facts -----------------------------------------------------------------------------------------------------

    @functools.cached_property
    def injected(self) -> frozenset[str]:
        """Names of parameters which are not part of the payload."""
        return frozenset(self.injections)

    @functools.cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @functools.cached_property
    def takes_signal(self) -> bool:
        return "signal" in self.injections.values()

    @functools.cached_property
    def text(self) -> str:
        """The payload's fields as one would write them."""
        shown = [_show(parameter) for parameter in self.fields.values()]
        if self.extra is not None:
            shown.append(f"**{self.extra.name}")
        return f"({', '.join(shown)})"

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        """Annotations with text resolved in the function's globals; raises `TaskDefinitionError` naming a lost name.

        An unresolvable *return* annotation is left out: then outputs are plain JSON values.
        """
        try:
            return typing.get_type_hints(self.function, include_extras=True)
        except (NameError, AttributeError, TypeError, SyntaxError):
            pass  # one of them does not resolve: find out which
        target = inspect.unwrap(self.function)
        scope = getattr(target, "__globals__", {})
        hints: dict[str, Any] = {}
        for name, annotation in getattr(target, "__annotations__", {}).items():
            if not isinstance(annotation, str):
                hints[name] = annotation
                continue
            holder = type("Holder", (), {"__annotations__": {name: annotation}})
            try:
                hints |= typing.get_type_hints(holder, globalns=scope, include_extras=True)
            except (NameError, AttributeError, TypeError, SyntaxError) as cause:
                if name == "return":
                    continue
                raise TaskDefinitionError(
                    f"{self.name}: the annotation {annotation!r} of parameter {name!r} cannot be resolved: {cause}. "
                    "Define or import that name before the task is used (an import under TYPE_CHECKING is not enough).",
                    parameter=name,
                ) from cause
        return hints

    # ---- the caller's side -----------------------------------------------------------------------------------------

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The payload of `trigger(*args, **kwargs)`: one positional argument is all of it, keywords are its fields.

        Raises `PayloadValidationError` for any other shape. What the fields hold is for `validate`.
        """
        if len(args) > 1:
            raise self.refuse(
                f"got {len(args)} positional arguments. One positional argument is the whole payload; "
                f"give fields by name: {self.name}.trigger({self.example()})"
            )
        if args and kwargs:
            raise self.refuse(
                "got a positional argument, which is the whole payload, and keywords, which are its fields. Give one."
            )
        if args:
            return args[0]
        if not self.fields and self.extra is None:
            return kwargs or None
        if not self.whole:
            return kwargs
        if list(kwargs) == ["payload"] and "payload" not in self._shape.whole_fields:
            return kwargs["payload"]
        if kwargs:
            return kwargs
        default = self.fields["payload"].default
        if default is not inspect.Parameter.empty:
            return default
        return {} if self._shape.whole_is_object else None

    def validate(self, payload: Any) -> None:
        """Check `payload` as the worker will; raises `PayloadValidationError` with pydantic's own locations."""
        self.check(jsonvalues.encode(payload, what=f"the payload of {self.name}"))

    def check(self, text: str) -> None:
        """Like `validate`, for a payload that is JSON text already."""
        self._shape.validated(text)

    # ---- the worker's side -----------------------------------------------------------------------------------------

    def parse(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments for the function out of a payload's JSON text, without the injected ones.

        Raises `PayloadValidationError`.
        """
        return self._shape.parse(text)

    def encode_output(self, value: Any) -> str:
        """JSON text of a return value; raises `OutputNotSerializableError`."""
        return self._shape.encode_output(value)

    def revive_output(self, text: str) -> Any:
        """The value a return annotation describes, else the plain JSON value.

        An output that does not fit its annotation comes back as a plain value, with a warning.
        """
        return self._shape.revive_output(text)

    def json_schema(self) -> str:
        """JSON Schema of the payload, as text."""
        return self._shape.json_schema()

    # ---- how it is done --------------------------------------------------------------------------------------------

    def _injected(self, name: str, parameter: inspect.Parameter) -> Injected | None:
        if name in _INJECTED_NAMES:
            return _INJECTED_NAMES[name]
        annotation = parameter.annotation
        if annotation is parameter.empty:
            return None
        if isinstance(annotation, str):
            if annotation.rpartition(".")[2] not in {"Context", "CancelSignal"}:
                return None
            annotation = self.hints.get(name)
        where = (getattr(annotation, "__module__", ""), getattr(annotation, "__qualname__", ""))
        return _INJECTED_TYPES.get(where)

    @functools.cached_property
    def _shape(self) -> Shape:
        made: Shape = importlib.import_module("kernelkit.authoring.shape").Shape(self)
        return made

    # ---- for Shape -------------------------------------------------------------------------------------------------

    def example(self) -> str:
        return ", ".join(f"{name}=…" for name in self.fields)

    def refuse(self, problem: str) -> PayloadValidationError:
        return PayloadValidationError(f"{self.name}{self.text} {problem}", errors=[])


def _show(parameter: inspect.Parameter) -> str:
    """A parameter as one would write it, a long default shortened."""
    shown = parameter.name
    note = parameter.annotation
    if note is not parameter.empty:
        shown += f": {note if isinstance(note, str) else inspect.formatannotation(note)}"
    if parameter.default is not parameter.empty:
        default = repr(parameter.default)
        default = default if len(default) <= 40 else "…"
        shown += f" = {default}" if note is not parameter.empty else f"={default}"
    return shown
