"""Which globals a function takes along, and whether they changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from kernelkit.authoring.bundle import make_bundle
from kernelkit.authoring.captures import Capture, capture_state, captured_names, size_text
from kernelkit.errors import TaskNotPicklableError


def notebook(source: str, **values: Any) -> dict[str, Any]:
    """The globals of a notebook in which `source` was run."""
    names: dict[str, Any] = {"__name__": "__main__", **values}
    exec(compile(source, "<ipython-input-1>", "exec"), names)
    return names


def found_in(function: Callable[..., Any]) -> set[str]:
    return {found.name for found in captured_names(function)}


# ---- finding ---------------------------------------------------------------------------------------------------------


def test_only_globals_that_are_read_are_captured() -> None:
    names = notebook("def f(x):\n    return x + a + len(xs)\n", a=1, b=2, xs=[])

    assert found_in(names["f"]) == {"a", "xs"}


def test_globals_are_found_through_helpers_nested_functions_and_methods() -> None:
    names = notebook(
        "class Model:\n"
        "    size = 3\n"
        "    def run(self): return in_method\n"
        "    @property\n"
        "    def p(self): return in_property\n"
        "    @classmethod\n"
        "    def c(cls): return in_classmethod\n"
        "def helper(): return in_helper, helper\n"
        "def f():\n"
        "    def inner(): return in_nested\n"
        "    return inner(), helper(), Model()\n",
        **{name: [0] for name in ("in_method", "in_property", "in_classmethod", "in_helper", "in_nested", "not_read")},
    )

    found = {one.name: one.via for one in captured_names(names["f"])}

    assert found == {
        "in_method": "Model",
        "in_property": "Model",
        "in_classmethod": "Model",
        "Model.size": "Model",
        "in_helper": "helper",
        "in_nested": "",
    }


def test_the_methods_behind_an_instance_are_looked_into() -> None:
    names = notebook("class C:\n    def m(self): return deep\nc = C()\ndef f(): return c\n", deep=[1])

    assert found_in(names["f"]) == {"c", "deep"}


def test_closures_and_defaults_are_captured() -> None:
    names = notebook("def outer():\n    y = [1]\n    def f(x=[2]): return y\n    return f\nf = outer()\n")

    assert found_in(names["f"]) == {"y", "a default of f"}


def test_modules_builtins_and_imported_functions_are_left_out() -> None:
    names = notebook("import json, math\nfrom json import dumps\ndef f(): return dumps(math.pi), print, json, f\n")

    assert found_in(names["f"]) == set()


def test_a_name_that_is_defined_nowhere_is_reported_and_refused_at_the_trigger() -> None:
    names = notebook("def helper(): return later\ndef f(): return helper()\n")

    bundle = make_bundle(names["f"], task_id="f")

    assert [(one.name, one.state) for one in bundle.report.problems] == [("later", "missing")]
    with pytest.raises(TaskNotPicklableError, match="reads `later` \\(through `helper`\\), which is defined nowhere"):
        bundle.check()
    names["later"] = 1
    make_bundle(names["f"], task_id="f").check()


def test_names_that_the_function_makes_global_itself_are_not_missing() -> None:
    assert found_in(notebook("def f():\n    global g\n    g = 1\n    return g\n")["f"]) == set()


# ---- what cannot travel ----------------------------------------------------------------------------------------------


def refusal(source: str, **values: Any) -> str:
    with pytest.raises(TaskNotPicklableError) as caught:
        make_bundle(notebook(source, **values)["f"], task_id="f").check()
    return str(caught.value)


def test_a_global_that_cannot_be_pickled_is_named_with_the_remedy() -> None:
    text = refusal("def f():\n    with lock: return data\n", lock=threading.Lock(), data=[1])

    assert text.startswith("Task 'f' uses `lock`")
    assert "(a _thread.lock)" in text
    assert "cannot be sent to a worker: cannot pickle '_thread.lock' object." in text
    assert "Create it inside the task's body" in text


def test_a_lock_deep_inside_a_global_names_the_global() -> None:
    text = refusal("def g(): return settings\ndef f(): return g()\n", settings={"a": [threading.Lock()]})

    assert "`settings` (through `g`) (a dict)" in text


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda: (x for x in "ab"), "Make it a list (`thing = list(thing)`)"),
        (lambda: __import__("sqlite3").connect(":memory:"), "Open it inside the task's body."),
        (lambda: threading.Event(), "Create it inside the task's body"),
    ],
)
def test_the_advice_fits_the_object(make: Callable[[], Any], advice: str) -> None:
    thing = make()
    try:
        assert advice in refusal("def f(): return thing\n", thing=thing)
    finally:
        getattr(thing, "close", lambda: None)()


def test_all_problems_are_told_at_once() -> None:
    text = refusal("def f(): return a, b, c\n", a=threading.Lock(), b=(x for x in ""), c=1)

    assert text.startswith("Task 'f' cannot be sent to a worker:\n")
    assert "it uses `a`" in text
    assert "it uses `b`" in text


def test_over_256_mb_is_refused_and_over_10_mb_is_told() -> None:
    assert "`big` along (bytearray), which is over 256.0 MB" in refusal(
        "def f(): return big\n", big=bytearray(257_000_000)
    )

    report = make_bundle(notebook("def f(): return big\n", big=bytearray(11_000_000))["f"], task_id="f").report

    assert report.is_large
    assert not report.problems
    assert "ships 11.0 MB with every change: big (bytearray, 11.0 MB)" in report.lines()[0]


def test_sizes_are_told_in_words() -> None:
    assert [size_text(n) for n in (12, 1_200, 50_000_000)] == ["12 B", "1.2 kB", "50.0 MB"]
    assert Capture("frame", "DataFrame", 50_000_000, cell=2).describe() == "frame (DataFrame, 50.0 MB, cell [2])"


# ---- has it changed? -------------------------------------------------------------------------------------------------


@dataclass
class Thing:
    n: int


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, 2), (1, True), ("a", "b"), ([1, 2], [1, 3]), ({"a": 1}, {"a": 1.5}), ((1,), [1]), (None, 0), ({1}, {2})],
)
def test_changed_values_are_seen(before: Any, after: Any) -> None:
    names = notebook("def f(): return x\n", x=before)
    earlier = capture_state(names["f"])
    assert earlier.proves_unchanged(capture_state(names["f"]))

    names["x"] = after

    assert not earlier.proves_unchanged(capture_state(names["f"]))


def test_a_list_changed_in_place_is_seen() -> None:
    names = notebook("def f(): return xs\n", xs=[1])
    earlier = capture_state(names["f"])

    names["xs"].append(2)

    assert not earlier.proves_unchanged(capture_state(names["f"]))


def test_a_helper_defined_again_is_seen() -> None:
    names = notebook("def g(): return 1\ndef f(): return g()\n")
    earlier = capture_state(names["f"])
    assert earlier.proves_unchanged(capture_state(names["f"]))

    exec("def g(): return 2", names)

    assert not earlier.proves_unchanged(capture_state(names["f"]))


def test_a_value_of_a_notebook_class_is_seen() -> None:
    names = notebook("class Config:\n    size = 1\ndef f(): return Config.size\n")
    earlier = capture_state(names["f"])

    names["Config"].size = 2

    assert not earlier.proves_unchanged(capture_state(names["f"]))


def test_a_name_defined_since_is_seen() -> None:
    names = notebook("def f(): return x\n")
    earlier = capture_state(names["f"])

    names["x"] = 1

    assert not earlier.proves_unchanged(capture_state(names["f"]))


def test_objects_that_may_change_unseen_prove_nothing() -> None:
    state = capture_state(notebook("def f(): return x\n", x=Thing(1))["f"])

    assert not state.settled
    assert not state.proves_unchanged(state)
