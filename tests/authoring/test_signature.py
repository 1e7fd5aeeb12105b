"""Payload shapes read from functions, and the errors people get for others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

import pytest
from pydantic import AfterValidator, BaseModel, Field

from kernelkit import jsonvalues
from kernelkit.authoring.cancelsignal import CancelSignal
from kernelkit.authoring.context import Context
from kernelkit.authoring.signature import Signature
from kernelkit.errors import OutputNotSerializableError, PayloadValidationError, TaskDefinitionError


class Order(BaseModel):
    id: int
    note: str = ""


@dataclass
class Point:
    x: float
    y: float = 0.0


class Box(TypedDict):
    width: int


async def resize(url: str, width: int = 512, ctx: Any = None) -> dict[str, Any]:
    return {"url": url, "width": width}


def test_parameters_are_the_payloads_fields() -> None:
    shape = Signature.of(resize)

    assert shape.text == "(url: str, width: int = 512)"
    assert shape.injections == {"ctx": "ctx"}
    assert shape.injected == frozenset({"ctx"})
    assert shape.is_async
    assert not shape.takes_signal
    assert shape.bind((), {"url": "a"}) == {"url": "a"}
    assert shape.parse('{"url":"a","width":"64"}') == ((), {"url": "a", "width": 64})
    assert shape.parse('{"url":"a"}') == ((), {"url": "a", "width": 512})


def test_the_original_input_is_sent_though_it_was_checked() -> None:
    shape = Signature.of(resize)

    payload = shape.bind((), {"url": "a", "width": "64"})
    shape.validate(payload)

    assert payload == {"url": "a", "width": "64"}


def test_one_positional_argument_is_the_whole_payload() -> None:
    shape = Signature.of(resize)

    assert shape.bind(({"url": "a"},), {}) == {"url": "a"}
    with pytest.raises(PayloadValidationError, match=r"2 positional arguments.*resize\.trigger\(url=…, width=…\)"):
        shape.bind(("a", 3), {})
    with pytest.raises(PayloadValidationError, match="Give one"):
        shape.bind(({"url": "a"},), {"width": 3})


def test_a_bare_value_where_fields_are_needed_says_how_to_write_it() -> None:
    with pytest.raises(PayloadValidationError, match="give fields by name"):
        Signature.of(resize).validate("https://example.org")


def test_a_mistyped_field_names_its_neighbour() -> None:
    with pytest.raises(PayloadValidationError) as caught:
        Signature.of(resize).validate({"url": "a", "widht": 3})

    assert "widht: there is no such field; did you mean 'width'?" in str(caught.value)


def test_errors_carry_pydantics_locations() -> None:
    with pytest.raises(PayloadValidationError) as caught:
        Signature.of(resize).validate({"width": "wide"})

    assert [one["loc"] for one in caught.value.errors] == [["url"], ["width"]]
    assert "url: this field is required" in str(caught.value)
    assert "(got 'wide')" in str(caught.value)


def test_a_parameter_named_payload_takes_everything() -> None:
    def place(payload: Order) -> None: ...

    shape = Signature.of(place)

    assert shape.parse('{"id": "4"}') == ((), {"payload": Order(id=4)})
    assert shape.bind((), {"id": 4}) == {"id": 4}
    assert shape.bind((), {"payload": {"id": 4}}) == {"id": 4}
    assert shape.bind((), {}) == {}
    with pytest.raises(PayloadValidationError, match="id: this field is required"):
        shape.validate({})
    shape.validate(Order(id=1))


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (Point, '{"x": 1}', Point(1.0)),
        (Box, '{"width": "3"}', {"width": 3}),
        (dict, '{"a": 1}', {"a": 1}),
        (list[Box] | None, '[{"width": "3"}]', [{"width": 3}]),
        (list[int], '["1", 2]', [1, 2]),
        (Any, '"anything"', "anything"),
    ],
)
def test_a_payload_parameter_may_be_of_any_kind(annotation: Any, text: str, expected: Any) -> None:
    def body(payload): ...  # type: ignore[no-untyped-def]

    body.__annotations__ = {"payload": annotation}

    assert Signature.of(body).parse(text) == ((), {"payload": expected})


def test_a_payload_parameter_without_annotation_is_any_json() -> None:
    def body(payload): ...  # type: ignore[no-untyped-def]

    shape = Signature.of(body)

    assert shape.bind((), {}) is None
    assert shape.bind((), {"a": 1}) == {"a": 1}
    assert shape.parse("[1,null]") == ((), {"payload": [1, None]})


def test_a_default_payload_is_used_when_none_is_given() -> None:
    def body(payload: int = 7) -> None: ...

    shape = Signature.of(body)

    assert shape.bind((), {}) == 7
    assert shape.parse("null") == ((), {"payload": 7})


def test_a_task_without_parameters_takes_nothing() -> None:
    def ping() -> None: ...

    shape = Signature.of(ping)

    assert shape.bind((), {}) is None
    assert shape.parse("null") == ((), {})
    assert shape.parse("{}") == ((), {})
    with pytest.raises(PayloadValidationError, match="takes no payload"):
        shape.validate(3)


def test_context_and_signal_are_found_by_annotation_too() -> None:
    def body(n: int, c: Any, stop: Any) -> None: ...

    body.__annotations__ |= {"c": Context, "stop": CancelSignal}
    shape = Signature.of(body)

    assert shape.injections == {"c": "ctx", "stop": "signal"}
    assert shape.takes_signal
    assert shape.text == "(n: int)"


def test_any_parameter_name_works() -> None:
    def body(json: int, _x: int, model_config: int = 3, /, *, copy: str = "c") -> None: ...

    shape = Signature.of(body)

    assert shape.parse('{"json": 1, "_x": 2}') == ((1, 2, 3), {"copy": "c"})


def test_further_keywords_are_fields_as_well() -> None:
    def body(a: int, **more: int) -> None: ...

    shape = Signature.of(body)

    assert shape.parse('{"a": 1, "b": "2"}') == ((), {"a": 1, "b": 2})
    assert shape.text == "(a: int, **more)"


def test_constraints_and_converters_work_as_in_fastapi() -> None:
    def body(
        n: Annotated[int, Field(gt=0)],
        name: Annotated[str, AfterValidator(str.title)] = "x",
        size: int = Field(3, le=9),
    ) -> None: ...

    shape = Signature.of(body)

    assert shape.parse('{"n": 1, "name": "ann"}') == ((), {"n": 1, "name": "Ann", "size": 3})
    with pytest.raises(PayloadValidationError, match="greater than 0"):
        shape.validate({"n": 0})
    with pytest.raises(PayloadValidationError, match="less than or equal to 9"):
        shape.validate({"n": 1, "size": 10})


def test_a_mutable_default_is_new_for_each_attempt() -> None:
    def body(items: list[int] = []) -> None: ...  # noqa: B006

    shape = Signature.of(body)
    shape.parse("{}")[1]["items"].append(1)

    assert shape.parse("{}") == ((), {"items": []})


def test_an_unresolvable_annotation_is_named() -> None:
    def body(order: Ordre) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TaskDefinitionError, match="annotation 'Ordre' of parameter 'order' cannot be resolved"):
        Signature.of(body).validate({"order": 1})


def test_an_unresolvable_return_annotation_costs_only_revival() -> None:
    def body(n: int) -> Missing: ...  # type: ignore[name-defined]  # noqa: F821

    shape = Signature.of(body)

    assert shape.parse('{"n": 1}') == ((), {"n": 1})
    assert shape.revive_output('{"a": 1}') == {"a": 1}


def test_a_type_json_cannot_become_is_named() -> None:
    class Socket: ...

    def body(n: int, s: Any) -> None: ...

    body.__annotations__ |= {"s": Socket}

    with pytest.raises(TaskDefinitionError, match="parameter 's' is annotated with"):
        Signature.of(body).json_schema()


@pytest.mark.parametrize("source", ["def f(*args): ...", "def f():\n    yield 1"])
def test_functions_that_cannot_be_tasks_are_refused(source: str) -> None:
    scope: dict[str, Any] = {}
    exec(source, scope)

    with pytest.raises(TaskDefinitionError, match="cannot be a task"):
        Signature.of(scope["f"])


def test_the_return_annotation_revives_the_output() -> None:
    def body() -> Order:
        raise NotImplementedError

    shape = Signature.of(body)

    assert shape.revive_output(shape.encode_output(Order(id=3))) == Order(id=3)
    assert shape.revive_output(shape.encode_output({"id": 3})) == Order(id=3)


def test_moments_and_tuples_come_back_as_such() -> None:
    def body() -> tuple[datetime, float]:
        raise NotImplementedError

    shape = Signature.of(body)
    value = (datetime(2027, 1, 1, tzinfo=UTC), math.inf)

    assert shape.revive_output(shape.encode_output(value)) == value


def test_nan_survives_payload_and_output() -> None:
    def body(x: float) -> list[float]:
        raise NotImplementedError

    shape = Signature.of(body)
    text = jsonvalues.encode({"x": math.nan}, what="it")

    assert math.isnan(shape.parse(text)[1]["x"])
    assert math.isnan(shape.revive_output(shape.encode_output([math.nan]))[0])


def test_an_output_unlike_its_annotation_comes_back_plain_with_a_warning() -> None:
    def body() -> Order:
        raise NotImplementedError

    shape = Signature.of(body)

    with pytest.warns(UserWarning, match=r"not the .*Order"):
        assert shape.revive_output(shape.encode_output("nothing")) == "nothing"


def test_an_output_json_cannot_carry_is_refused() -> None:
    def body() -> Any: ...

    with pytest.raises(OutputNotSerializableError, match="the output of body"):
        Signature.of(body).encode_output(object())


def test_the_schema_shows_names_types_and_defaults() -> None:
    schema = jsonvalues.decode(Signature.of(resize).json_schema())

    assert schema["properties"]["width"]["default"] == 512
    assert schema["required"] == ["url"]
    assert schema["additionalProperties"] is False
    assert schema["title"] == "resize"
