"""Everything exported is there, documented and typed."""

from __future__ import annotations

import importlib
import inspect
import types
from typing import assert_type

import pytest

import kernelkit as kk


def test_the_names_shown_are_those_exported() -> None:
    assert dir(kk) == sorted(kk.__all__)
    with pytest.raises(AttributeError, match="no attribute 'tsk'"):
        _ = kk.tsk  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in kk.__all__ if not name.startswith("__")])
def test_a_public_name_exists_and_is_documented(name: str) -> None:
    public = getattr(kk, name)

    described = public if inspect.isclass(public) or inspect.isfunction(public) else type(public)
    assert described.__doc__, name


@pytest.mark.parametrize(
    "name", ["Task", "RunHandle", "BatchHandle", "BulkHandle", "Result", "Client", "AsyncClient", "Run", "Retry"]
)
def test_public_methods_are_documented_and_typed(name: str) -> None:
    cls = getattr(kk, name)

    for attribute, member in vars(cls).items():
        if attribute.startswith("_") or not isinstance(member, types.FunctionType):
            continue
        assert member.__doc__, f"{name}.{attribute} says nothing"
        unknown = [one for one in inspect.signature(member).parameters if one not in ("self", "cls")]
        assert set(unknown) <= set(member.__annotations__), f"{name}.{attribute} is not typed"
        assert "return" in member.__annotations__, f"{name}.{attribute} is not typed"


def test_the_engine_is_no_package_even_when_that_was_imported() -> None:
    importlib.import_module("kernelkit.engine.state")

    assert not isinstance(kk.engine, types.ModuleType)


@kk.task
async def add(a: int) -> int:
    return a


@kk.task(retries=2)
def name(a: int) -> str:
    return str(a)


async def what_a_type_checker_sees() -> None:
    """Never called: `make check` runs mypy over it."""
    assert_type((await add.trigger(a=1)).output, int)
    assert_type(name.options(tags="x").trigger(a=1).result().unwrap(), str)
    assert_type([result.output for result in await add.batch_trigger([{"a": 1}])], list[int])
    assert_type(kk.runs.retrieve("run_1"), kk.Run)


def test_decorated_functions_are_tasks() -> None:
    assert (add.id, name.id) == ("add", "name")
