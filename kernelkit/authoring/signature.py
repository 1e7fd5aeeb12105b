"""A task function's parameters, read as the shape of its payload.

Parameters are the payload's fields and their annotations its schema, as in a FastAPI endpoint. What a newcomer would
get wrong: the client checks a payload but sends the *original* input; the worker parses it again, so that converters
and defaults run once, there. Nothing is built before it is needed: making a `Signature` costs microseconds.
"""

from __future__ import annotations

import collections.abc
import difflib
import functools
import inspect
import types
import typing
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import PydanticJsonSchemaWarning
from pydantic_core import PydanticSerializationError, PydanticUndefined, to_json

from kernelkit import jsonvalues
from kernelkit.authoring.annotations import bare, is_model, modern, show
from kernelkit.errors import OutputNotSerializableError, PayloadValidationError, TaskDefinitionError

Injected = Literal["ctx", "signal"]

_INJECTED_NAMES: dict[str, Injected] = {"ctx": "ctx", "signal": "signal"}
# By name, so that reading a signature needs none of the machinery behind a running attempt.
_INJECTED_TYPES: dict[tuple[str, str], Injected] = {
    ("kernelkit.authoring.context", "Context"): "ctx",
    ("kernelkit.authoring.context", "CancelSignal"): "signal",
}
_PLAIN = {dict, list, str, int, float, bool, type(None), None, Any, object, inspect.Signature.empty}
_OBJECTS = (dict, collections.abc.Mapping)
_TAG = '"$float"'  # how jsonvalues writes NaN and infinity


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
        self._extra: inspect.Parameter | None = None
        for name, parameter in parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL:
                raise TaskDefinitionError(
                    f"{self.name} cannot be a task: *{name} has no place in a payload. Take a list: {name}: list."
                )
            injected = self._injected(name, parameter)
            if injected is not None:
                self.injections[name] = injected
            elif parameter.kind is parameter.VAR_KEYWORD:
                self._extra = parameter
            elif name == "init":
                raise TaskDefinitionError(
                    f"{self.name} cannot be a task: a parameter named `init` is kept for what init hooks return. "
                    "Choose another name."
                )
            else:
                fields[name] = parameter
        self._fields = fields
        self.whole = list(fields) == ["payload"] and self._extra is None
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
        shown = [show(parameter) for parameter in self._fields.values()]
        if self._extra is not None:
            shown.append(f"**{self._extra.name}")
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
            raise self._refuse(
                f"got {len(args)} positional arguments. One positional argument is the whole payload; "
                f"give fields by name: {self.name}.trigger({self._example()})"
            )
        if args and kwargs:
            raise self._refuse(
                "got a positional argument, which is the whole payload, and keywords, which are its fields. Give one."
            )
        if args:
            return args[0]
        if not self._fields and self._extra is None:
            return kwargs or None
        if not self.whole:
            return kwargs
        if list(kwargs) == ["payload"] and "payload" not in self._whole_fields:
            return kwargs["payload"]
        if kwargs:
            return kwargs
        default = self._fields["payload"].default
        if default is not inspect.Parameter.empty:
            return default
        return {} if self._whole_is_object else None

    def validate(self, payload: Any) -> None:
        """Check `payload` as the worker will; raises `PayloadValidationError` with pydantic's own locations."""
        self.check(jsonvalues.encode(payload, what=f"the payload of {self.name}"))

    def check(self, text: str) -> None:
        """Like `validate`, for a payload that is JSON text already."""
        self._validated(text)

    # ---- the worker's side -----------------------------------------------------------------------------------------

    def parse(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments for the function out of a payload's JSON text, without the injected ones.

        Raises `PayloadValidationError`.
        """
        value = self._validated(text)
        if value is None and not self.whole:
            return (), {}
        if self.whole:
            named = {"payload": value}
        else:
            named = {name: getattr(value, field) for name, field in self._field_names.items()}
        args = []
        for name, parameter in self._fields.items():
            if parameter.kind is parameter.POSITIONAL_ONLY:
                args.append(named.pop(name))
        if not self.whole and self._extra is not None:
            named |= value.model_extra or {}
        return tuple(args), named

    def encode_output(self, value: Any) -> str:
        """JSON text of a return value; raises `OutputNotSerializableError`."""
        if self._output is not None:
            try:
                value = self._output.dump_python(value, mode="json", by_alias=True, warnings="error")
            except (PydanticSerializationError, ValueError, TypeError):
                pass  # not what the annotation says: written as whatever it is
        return jsonvalues.encode(value, what=f"the output of {self.name}", error=OutputNotSerializableError)

    def revive_output(self, text: str) -> Any:
        """The value a return annotation describes, else the plain JSON value.

        An output that does not fit its annotation comes back as a plain value, with a warning.
        """
        if self._output is None:
            return jsonvalues.decode(text)
        try:
            return self._output.validate_json(_constants(text))
        except ValidationError as cause:
            warnings.warn(
                f"{self.name} returned something that is not the {self._output_text} it is annotated with, so its "
                f"output is given as plain JSON values. {_lines(cause, {})}",
                stacklevel=2,
            )
            return jsonvalues.decode(text)

    def json_schema(self) -> str:
        """JSON Schema of the payload, as text."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
            try:
                if not self._fields and self._extra is None:
                    schema: dict[str, Any] = {"type": ["object", "null"], "additionalProperties": False}
                elif self.whole:
                    schema = self._whole_adapter.json_schema()
                else:
                    schema = self._model.model_json_schema(by_alias=True)
                    schema["title"] = self.name
            except PydanticUserError as cause:  # a type that validates but has no JSON Schema
                schema = {"description": f"no schema: {cause.message}"}
        return msgspec.json.encode(schema).decode()

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

    def _validated(self, text: str) -> Any:
        """The whole payload's value, the fields' model, or None where there is nothing to take."""
        if not self._fields and self._extra is None:
            if text in {"null", "{}"}:
                return None
            raise self._refuse("takes no payload, but got one. Give its function a parameter, or trigger it without.")
        if self.whole:
            default = self._fields["payload"].default
            if text == "null" and default is not inspect.Parameter.empty:
                return default
            validator = self._whole_adapter.validator
        else:
            if text == "null":
                text = "{}"
            validator = self._model.__pydantic_validator__
        try:
            return validator.validate_json(_constants(text))
        except ValidationError as cause:
            raise self._explain(cause) from None

    @functools.cached_property
    def _field_names(self) -> dict[str, str]:
        # Fields are f0, f1 …, the parameters' names aliases: so any name will do, even `json` or `_x`.
        return {name: f"f{index}" for index, name in enumerate(self._fields)}

    @functools.cached_property
    def _model(self) -> type[BaseModel]:
        definitions: dict[str, Any] = {}
        for name, field in self._field_names.items():
            default = self._fields[name].default
            annotation: Any = Annotated[self._hint(name), Field(alias=name)]
            definitions[field] = (annotation, PydanticUndefined if default is inspect.Parameter.empty else default)
        config = ConfigDict(extra="forbid" if self._extra is None else "allow", protected_namespaces=())
        extra: dict[str, Any] = {}
        if self._extra is not None:
            extra["__pydantic_extra__"] = types.GenericAlias(dict, (str, self._hint(self._extra.name)))
        try:
            base = type("Base", (BaseModel,), {"__annotations__": extra, "model_config": config})
            made: type[BaseModel] = create_model(self.name, __base__=base, __module__=__name__, **definitions)
        except (PydanticUserError, TypeError) as cause:
            raise self._unusable(cause) from cause
        return made

    @functools.cached_property
    def _whole_adapter(self) -> TypeAdapter[Any]:
        try:
            return TypeAdapter(self._hint("payload"))
        except (PydanticUserError, TypeError) as cause:
            raise self._unusable(cause) from cause

    def _hint(self, name: str) -> Any:
        return modern(self.hints.get(name, Any))

    @functools.cached_property
    def _whole_is_object(self) -> bool:
        kind = bare(self._hint("payload"))
        return bool(self._whole_fields) or kind in _OBJECTS or is_model(kind)

    @functools.cached_property
    def _whole_fields(self) -> frozenset[str]:
        kind = bare(self._hint("payload"))
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return frozenset(field.alias or name for name, field in kind.model_fields.items())
        return frozenset(getattr(kind, "__annotations__", {})) if is_model(kind) else frozenset()

    @functools.cached_property
    def _output(self) -> TypeAdapter[Any] | None:
        try:
            hint = self._hint("return")
        except TaskDefinitionError:
            return None
        try:
            return None if hint in _PLAIN else TypeAdapter(hint)
        except (PydanticUserError, TypeError):
            return None  # a class pydantic knows nothing about: plain JSON values then

    @property
    def _output_text(self) -> str:
        return inspect.formatannotation(self.hints["return"])

    def _example(self) -> str:
        return ", ".join(f"{name}=…" for name in self._fields)

    def _refuse(self, problem: str) -> PayloadValidationError:
        return PayloadValidationError(f"{self.name}{self.text} {problem}", errors=[])

    def _explain(self, cause: ValidationError) -> PayloadValidationError:
        names = self._whole_fields if self.whole else self._fields
        found = cause.errors(include_url=False, include_context=False, include_input=False)
        hint = ""
        if not self.whole and found and found[0]["type"] in {"model_type", "model_attributes_type"}:
            hint = (
                "\nOne positional argument is the whole payload, an object of fields; "
                f"give fields by name: {self.name}.trigger({self._example()})"
            )
        return PayloadValidationError(
            f"{self.name}{self.text} does not accept this payload:\n{_lines(cause, names)}{hint}",
            errors=[{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in found],
        )

    def _unusable(self, cause: Exception) -> TaskDefinitionError:
        for name in self._fields:
            try:
                TypeAdapter(self._hint(name))
            except (PydanticUserError, TypeError):
                shown = inspect.formatannotation(self._hint(name))
                return TaskDefinitionError(
                    f"{self.name}: parameter {name!r} is annotated with {shown}, which JSON cannot be turned into. Use "
                    "plain types, a pydantic model, a dataclass or a TypedDict, or leave the annotation out.",
                    parameter=name,
                )
        return TaskDefinitionError(f"{self.name} cannot be a task: {cause}")


def _constants(text: str) -> str | bytes:
    """JSON text with KernelKit's NaN and infinity as the constants that pydantic reads."""
    return to_json(jsonvalues.decode(text), inf_nan_mode="constants") if _TAG in text else text


def _lines(cause: ValidationError, names: collections.abc.Iterable[str]) -> str:
    lines = []
    for one in cause.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in one["loc"])
        said = one["msg"]
        if one["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            near = difflib.get_close_matches(where, list(names), n=1)
            said = f"there is no such field; did you mean {near[0]!r}?" if near else "there is no such field"
        elif one["type"] in {"missing", "missing_argument"}:
            said = "this field is required"
        else:
            shown = repr(one["input"])
            said += f" (got {shown if len(shown) <= 80 else shown[:77] + '…'})"
        lines.append(f"  {where}: {said}" if where else f"  {said}")
    return "\n".join(lines)
