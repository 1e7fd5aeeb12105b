from __future__ import annotations

import pytest

from kernelkit.errors import InvalidOptionError
from kernelkit.rules.metadata import apply_op, apply_ops, encode_checked
from kernelkit.wire.messages import MetadataOp


@pytest.mark.parametrize(
    ("before", "kind", "key", "value", "after"),
    [
        ({}, "set", "a", 1, {"a": 1}),
        ({"a": 1}, "set", "a.b", 2, {"a": 1, "a.b": 2}),
        ({"a": 1, "b": 2}, "delete", "a", None, {"b": 2}),
        ({"b": 2}, "delete", "a", None, {"b": 2}),
        ({}, "append", "l", 1, {"l": [1]}),
        ({"l": [1]}, "append", "l", 2, {"l": [1, 2]}),
        ({"l": "x"}, "append", "l", 2, {"l": ["x", 2]}),
        ({"l": [1, {"a": 1}, {"a": 1}]}, "remove", "l", {"a": 1}, {"l": [1]}),
        ({"l": [1, True]}, "remove", "l", True, {"l": [1]}),
        ({"l": 1}, "remove", "l", 1, {"l": 1}),
        ({}, "remove", "l", 1, {}),
        ({}, "increment", "n", 2, {"n": 2}),
        ({"n": "x"}, "increment", "n", 2, {"n": 2}),
        ({"n": 1.5}, "increment", "n", -2, {"n": -0.5}),
        ({"n": 1}, "update", "", {"m": 2}, {"m": 2}),
        ({}, "set", "$.a.b[0]", "x", {"a": {"b": ["x"]}}),
        ({"a": {"b": [1, 2], "c": 3}}, "set", "$.a.b[1]", 9, {"a": {"b": [1, 9], "c": 3}}),
        ({"a": {"b": [1]}}, "set", "$.a.b[5]", 9, {"a": {"b": [1]}}),
        ({"a": 1}, "increment", "$.a.b", 9, {"a": 1}),
        ({"a": {"n": 1}}, "increment", "$.a.n", 9, {"a": {"n": 10}}),
        ({"a": {"l": [1, 2]}}, "remove", "$.a.l", 1, {"a": {"l": [2]}}),
        ({"the name": [1]}, "append", '$["the name"]', 2, {"the name": [1, 2]}),
    ],
)
def test_each_operation_does_what_the_spec_says(
    before: dict[str, object], kind: str, key: str, value: object, after: dict[str, object]
) -> None:
    # `$["…"]` without a dot is a literal name, as everything that does not begin with `$.`
    if key == '$["the name"]':
        after = {**before, key: [value]}
    untouched = repr(before)

    assert apply_op(before, kind, key, value) == after
    assert repr(before) == untouched


def test_operations_apply_in_order() -> None:
    ops = [
        MetadataOp(kind="set", key="a", value="1"),
        MetadataOp(kind="increment", key="a", value="2"),
        MetadataOp(kind="append", key="$.log.lines", value='"x"'),
    ]

    assert apply_ops({"z": 0}, ops) == {"z": 0, "a": 3, "log": {"lines": ["x"]}}


def test_a_path_that_cannot_be_read_says_how_one_looks() -> None:
    with pytest.raises(InvalidOptionError, match=r"\$\.user\.tags\[0\]"):
        apply_op({}, "set", "$.a[", 1)


def test_metadata_over_the_limit_is_refused_with_its_size() -> None:
    encode_checked({"a": "x" * (262_144 - 8)})

    with pytest.raises(InvalidOptionError, match=r"262,145 bytes.*262,144"):
        encode_checked({"a": "x" * (262_144 - 7)})
