"""A signature's pydantic side: payloads validated, outputs written and revived, the JSON Schema.

Apart from `signature.py` because pydantic takes a tenth of a second to import, which `%load_ext` shall not wait for: a
signature opens this room when the first payload or definition needs it.
"""

from __future__ import annotations

import collections.abc
import difflib
import functools
import inspect
import types
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import PydanticJsonSchemaWarning
from pydantic_core import PydanticSerializationError, PydanticUndefined, to_json

from kernelkit import jsonvalues
from kernelkit.authoring.annotations import bare, is_model, modern
from kernelkit.errors import OutputNotSerializableError, PayloadValidationError, TaskDefinitionError

if TYPE_CHECKING:
    from kernelkit.authoring.signature import Signature

_PLAIN = {dict, list, str, int, float, bool, type(None), None, Any, object, inspect.Signature.empty}
_OBJECTS = (dict, collections.abc.Mapping)
_TAG = '"$float"'  # how jsonvalues writes NaN and infinity


class Shape:
    """What pydantic makes of one signature; built as far as it is asked for."""

    def __init__(self, signature: Signature) -> None:
        self._of = signature

    def parse(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments for the function out of a payload's JSON text, without the injected ones.

        Raises `PayloadValidationError`.
        """
        value = self.validated(text)
        if value is None and not self._of.whole:
            return (), {}
        if self._of.whole:
            named = {"payload": value}
        else:
            named = {name: getattr(value, field) for name, field in self._field_names.items()}
        args = []
        for name, parameter in self._of.fields.items():
            if parameter.kind is parameter.POSITIONAL_ONLY:
                args.append(named.pop(name))
        if not self._of.whole and self._of.extra is not None:
            named |= value.model_extra or {}
        return tuple(args), named

    def encode_output(self, value: Any) -> str:
        """JSON text of a return value; raises `OutputNotSerializableError`."""
        if self._output is not None:
            try:
                value = self._output.dump_python(value, mode="json", by_alias=True, warnings="error")
            except (PydanticSerializationError, ValueError, TypeError):
                pass  # not what the annotation says: written as whatever it is
        return jsonvalues.encode(value, what=f"the output of {self._of.name}", error=OutputNotSerializableError)

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
                f"{self._of.name} returned something that is not the {self._output_text} it is annotated with, so its "
                f"output is given as plain JSON values. {_lines(cause, {})}",
                stacklevel=2,
            )
            return jsonvalues.decode(text)

    def json_schema(self) -> str:
        """JSON Schema of the payload, as text."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
            try:
                if not self._of.fields and self._of.extra is None:
                    schema: dict[str, Any] = {"type": ["object", "null"], "additionalProperties": False}
                elif self._of.whole:
                    schema = self._whole_adapter.json_schema()
                else:
                    schema = self._model.model_json_schema(by_alias=True)
                    schema["title"] = self._of.name
            except PydanticUserError as cause:  # a type that validates but has no JSON Schema
                schema = {"description": f"no schema: {cause.message}"}
        return msgspec.json.encode(schema).decode()

    def validated(self, text: str) -> Any:
        """The whole payload's value, the fields' model, or None where there is nothing to take."""
        if not self._of.fields and self._of.extra is None:
            if text in {"null", "{}"}:
                return None
            raise self._of.refuse(
                "takes no payload, but got one. Give its function a parameter, or trigger it without."
            )
        if self._of.whole:
            default = self._of.fields["payload"].default
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
        return {name: f"f{index}" for index, name in enumerate(self._of.fields)}

    @functools.cached_property
    def _model(self) -> type[BaseModel]:
        definitions: dict[str, Any] = {}
        for name, field in self._field_names.items():
            default = self._of.fields[name].default
            annotation: Any = Annotated[self._hint(name), Field(alias=name)]
            definitions[field] = (annotation, PydanticUndefined if default is inspect.Parameter.empty else default)
        config = ConfigDict(extra="forbid" if self._of.extra is None else "allow", protected_namespaces=())
        extra: dict[str, Any] = {}
        if self._of.extra is not None:
            extra["__pydantic_extra__"] = types.GenericAlias(dict, (str, self._hint(self._of.extra.name)))
        try:
            base = type("Base", (BaseModel,), {"__annotations__": extra, "model_config": config})
            made: type[BaseModel] = create_model(self._of.name, __base__=base, __module__=__name__, **definitions)
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
        return modern(self._of.hints.get(name, Any))

    @functools.cached_property
    def whole_is_object(self) -> bool:
        kind = bare(self._hint("payload"))
        return bool(self.whole_fields) or kind in _OBJECTS or is_model(kind)

    @functools.cached_property
    def whole_fields(self) -> frozenset[str]:
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
        return inspect.formatannotation(self._of.hints["return"])

    def _explain(self, cause: ValidationError) -> PayloadValidationError:
        names = self.whole_fields if self._of.whole else self._of.fields
        found = cause.errors(include_url=False, include_context=False, include_input=False)
        hint = ""
        if not self._of.whole and found and found[0]["type"] in {"model_type", "model_attributes_type"}:
            hint = (
                "\nOne positional argument is the whole payload, an object of fields; "
                f"give fields by name: {self._of.name}.trigger({self._of.example()})"
            )
        return PayloadValidationError(
            f"{self._of.name}{self._of.text} does not accept this payload:\n{_lines(cause, names)}{hint}",
            errors=[{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in found],
        )

    def _unusable(self, cause: Exception) -> TaskDefinitionError:
        for name in self._of.fields:
            try:
                TypeAdapter(self._hint(name))
            except (PydanticUserError, TypeError):
                shown = inspect.formatannotation(self._hint(name))
                return TaskDefinitionError(
                    f"{self._of.name}: parameter {name!r} is annotated with {shown}, which JSON cannot be turned "
                    "into. Use plain types, a pydantic model, a dataclass or a TypedDict, or leave the annotation out.",
                    parameter=name,
                )
        return TaskDefinitionError(f"{self._of.name} cannot be a task: {cause}")


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
