"""A `%%task` cell becomes a function, or a sentence that says what is wrong with it."""

from __future__ import annotations

import asyncio
import inspect
import linecache
import signal
import traceback
from typing import Any

import pytest

from kernelkit.authoring.cells import TaskCell, task_from_cell
from kernelkit.errors import TaskDefinitionError


def compiled(line: str, body: str, **notebook: Any) -> TaskCell:
    return task_from_cell(line, body, namespace={"__name__": "__main__", **notebook}, number=8)


def refused(line: str, body: str, **notebook: Any) -> str:
    with pytest.raises(TaskDefinitionError) as caught:
        compiled(line, body, **notebook)
    return str(caught.value)


# ---- spellings -------------------------------------------------------------------------------------------------------


def test_a_cell_under_a_signature_is_the_functions_body() -> None:
    cell = compiled("resize(url: str, width: int = 512) --queue images --retries 5", "w = width * 2\nreturn url, w")

    assert cell.function("a.png") == ("a.png", 1024)
    assert cell.function.__name__ == "resize"
    assert cell.options == {"queue": "images", "retries": 5}
    assert list(inspect.signature(cell.function).parameters) == ["url", "width"]


def test_a_cell_with_one_function_is_that_function() -> None:
    notebook: dict[str, Any] = {}
    body = "import math\n\nasync def area(r: float) -> float:\n    return math.pi * r * r\n"
    cell = task_from_cell("--tags a,b --replace", body, namespace=notebook, number=2)

    assert round(asyncio.run(cell.function(1))) == 3
    assert cell.options == {"tags": ("a", "b"), "replace": True}
    assert notebook["math"].pi > 3


def test_a_body_that_awaits_becomes_async_and_one_that_does_not_stays_plain() -> None:
    for body in (
        "await asyncio.sleep(0)\nreturn 1",
        "async with lock:\n    pass",
        "async for x in xs:\n    pass",
        "return [x async for x in xs]",
        "return [await x for x in xs]",
    ):
        assert inspect.iscoroutinefunction(compiled("f()", body, asyncio=asyncio).function), body
    for body in ("return 1", "async def g():\n    await h()\nreturn asyncio.run(g())"):
        assert not inspect.iscoroutinefunction(compiled("f()", body).function), body


def test_a_return_annotation_and_defaults_with_brackets_belong_to_the_signature() -> None:
    cell = compiled('f(a: dict[str, int], b=(1, ")"), *, c: str = "-> x") -> list[int] --id f/2', "return [a, b, c]")

    assert cell.function({}) == [{}, (1, ")"), "-> x"]
    assert cell.function.__annotations__["return"] == list[int]
    assert cell.options == {"id": "f/2"}


def test_ctx_and_signal_are_in_scope_when_the_body_reads_them() -> None:
    cell = compiled("f(x: int)", "def inner():\n    return ctx\nreturn inner(), signal")

    assert cell.function(1, ctx="c", signal="s") == ("c", "s")
    assert list(inspect.signature(cell.function).parameters) == ["x", "ctx", "signal"]
    assert list(inspect.signature(compiled("f()", "return 1").function).parameters) == []


def test_the_signal_module_of_the_notebook_stays_the_module() -> None:
    assert compiled("f()", "return signal.SIGTERM", signal=signal).function() == signal.SIGTERM
    assert compiled("f()", "import signal\nreturn signal.SIGTERM").function() == signal.SIGTERM


def test_notebook_globals_are_read_when_the_task_runs() -> None:
    notebook: dict[str, Any] = {"factor": 2}
    cell = task_from_cell("f(n)", "return n * factor", namespace=notebook)
    notebook["factor"] = 10

    assert cell.function(2) == 20
    assert "f" not in notebook


def test_future_imports_of_the_notebook_apply() -> None:
    import __future__

    cell = task_from_cell("f(x: Later)", "return x", namespace={}, flags=__future__.annotations.compiler_flag)

    assert cell.function.__annotations__ == {"x": "Later"}


# ---- lines -----------------------------------------------------------------------------------------------------------


def test_tracebacks_show_the_cells_own_lines() -> None:
    cell = compiled("divide(n: int)", "# first\nhalf = n / 2\nreturn half / 0")

    with pytest.raises(ZeroDivisionError) as caught:
        cell.function(1)

    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (frame.filename, frame.lineno, frame.line) == ("<Cell [8]>", 4, "return half / 0")
    linecache.checkcache()
    assert linecache.getline(cell.file, 1) == "%%task divide(n: int)\n"


def test_tracebacks_of_a_cell_with_a_function_show_its_lines_too() -> None:
    cell = compiled("--retries 2", "X = 1\ndef boom():\n    raise ValueError(X)\n")

    with pytest.raises(ValueError, match="1") as caught:
        cell.function()

    assert traceback.extract_tb(caught.value.__traceback__)[-1].lineno == 4
    assert inspect.getsource(cell.function).startswith("def boom")


# ---- mistakes in the code --------------------------------------------------------------------------------------------


def test_a_syntax_error_is_told_with_its_line_in_the_cell() -> None:
    text = refused("f()", "x = 1\ny = (\nreturn 2")

    assert "Cell [8] f, line 3: '(' was never closed." in text
    assert text.endswith("    y = (\n        ^")


def test_a_syntax_error_that_only_compiling_finds_has_the_right_line_as_well() -> None:
    assert "Cell [8] f, line 3: 'break' outside loop" in refused("f()", "x = 1\nbreak")
    assert "Cell [8], line 3: 'return' outside function" in refused("", "def f(): pass\nreturn 1").replace(" f,", ",")


def test_a_signature_that_is_no_python_points_at_the_place() -> None:
    text = refused("resize(url str)", "return 1")

    assert "Cell [8] resize, line 1: the signature cannot be read: invalid syntax" in text
    shown_line, marker = text.splitlines()[-2:]
    assert shown_line == "    %%task resize(url str)"
    assert marker.index("^") in range(shown_line.index("url"), shown_line.index(")"))


def test_an_open_bracket_in_the_signature_is_told() -> None:
    assert "is not closed" in refused('f(a: str = ")"', "return 1")


def test_an_unknown_name_in_the_signature_is_told() -> None:
    text = refused("f(x: Thumbnail)", "return 1")

    assert "Cell [8] f, line 1: NameError: name 'Thumbnail' is not defined. Run the cell that defines it first." in text


def test_a_global_read_before_the_body_assigns_it_is_explained() -> None:
    text = refused("f()", "import math\nDIV = DIV + 1\nreturn DIV", DIV=4)

    assert "Cell [8] f, line 3: `DIV` is read here but assigned on the same line" in text
    assert "the notebook's `DIV` is not seen" in text
    assert "take `DIV` as a parameter" in text


@pytest.mark.parametrize(
    ("body", "line", "assigned"),
    [
        ("total += 1", 2, "on the same line"),
        ("print(total)\ntotal = 2", 2, "on line 3"),
        ("if total:\n    total = 2", 2, "on line 3"),
        ("for x in y:\n    print(total)\n    total = x", 3, "on line 4"),
        ("with total as total:\n    pass", 2, "on the same line"),
        ("xs = [total for _ in range(3)]\ntotal = 1", 2, "on line 3"),
        ("try:\n    total()\nfinally:\n    total = 1", 3, "on line 5"),
        ("while total:\n    total = 0", 2, "on line 3"),
        ("@total\ndef total(): pass", 2, "on line 3"),
        ("print(total)\nimport total", 2, "on line 3"),
    ],
)
def test_reads_that_can_only_fail_are_found(body: str, line: int, assigned: str) -> None:
    text = refused("f(y)", body, total=1)

    assert f"line {line}: `total` is read here but assigned {assigned}" in text


@pytest.mark.parametrize(
    "body",
    [
        "total = 1\ntotal += 1",
        "global total\ntotal += 1",
        "for x in y:\n    if x:\n        print(total)\n    total = x",
        "while y:\n    y and print(total)\n    total = 1",
        "def later():\n    return total\ntotal = 2\nreturn later()",
        "return [total for total in y]",
        "total: int = 3\nreturn total",
        "match y:\n    case [total]:\n        return total",
        "if (total := len(y)) > 1:\n    return total",
        "try:\n    pass\nexcept ValueError as total:\n    print(total)",
        "class C:\n    total = 1\nreturn C, total",
        "return (lambda total: total)(1)",
    ],
)
def test_reads_that_may_succeed_are_left_alone(body: str) -> None:
    compiled("f(y)", body, total=1)


def test_a_builtin_read_before_it_is_assigned_is_explained() -> None:
    assert "Python's own `max` is not seen" in refused("f(xs)", "max = max(xs)\nreturn max")


def test_the_check_reaches_cells_with_a_function() -> None:
    assert "Cell [8] f, line 3: `n` is read here" in refused("", "def f():\n    n += 1\n", n=1)


def test_yield_is_explained() -> None:
    text = refused("f()", "for x in range(3):\n    yield x\nreturn 1")

    assert "Cell [8] f, line 3: a task returns one value, but `yield` makes it a generator" in text


def test_star_imports_nonlocal_and_notebook_syntax_are_explained() -> None:
    assert "line 2: `from math import *` is not possible inside a task" in refused("f()", "from math import *")
    assert "line 2: `nonlocal a` has nothing to refer to" in refused("f()", "nonlocal a\na = 1")
    assert "line 3: `!ls -l` is notebook syntax" in refused("f()", "x = 1\n!ls -l")
    assert "line 2: `%time x()` is notebook syntax" in refused("f()", "%time x()")


# ---- mistakes in the magic line --------------------------------------------------------------------------------------


def test_an_unknown_option_names_its_neighbour() -> None:
    text = refused("f() --retry 5", "return 1")

    assert "`--retry` is no option of %%task. Did you mean `--retries`?" in text
    assert "--concurrency-limit" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("f() --queue", "`--queue` needs a value, as in `--queue images`"),
        ("f() --queue --replace", "`--queue` needs a value"),
        ("f() --retries many", "'many' is not a whole number, as in `--retries 5`"),
        ("f() --replace=1", "`--replace` takes no value"),
        ("f() --queue a --queue b", "`--queue` is given twice"),
        ("f() --description 'half", "Close the quotes"),
        ("f() retries=5", "`retries=5` is neither a signature nor an option of %%task. Did you mean `--retries`?"),
        ("f() -r 5", "`-r` is no option of %%task"),
        ("resize", "`%%task resize` has no signature. Write `%%task resize()`"),
        ("resize --retries 3", "`%%task resize` has no signature"),
        ("async def f(x)", "Leave `async def` out on the magic line: `%%task f(x)`"),
        ("def f(x)", "Leave `def` out"),
    ],
)
def test_mistakes_in_the_magic_line_are_told(line: str, said: str) -> None:
    assert said in refused(line, "return 1")


def test_options_may_be_quoted_or_joined() -> None:
    cell = compiled('f(): --description="Makes {thumbs}" --tags a,b --tags c --concurrency-limit=2', "return 1")

    assert cell.options == {"description": "Makes {thumbs}", "tags": ("a", "b", "c"), "concurrency_limit": 2}


def test_the_wrong_number_of_functions_is_told() -> None:
    assert "`%%task` needs a signature, as in `%%task name(url: str)`" in refused("--retries 1", "x = 1")
    assert "this cell has 2: `a`, `b`" in refused("", "def a(): pass\ndef b(): pass")


def test_a_signature_that_stands_twice_is_told() -> None:
    assert "the signature stands twice" in refused("f(x)", "def f(x):\n    return x")


def test_an_empty_body_is_told() -> None:
    assert "Cell [8] f has no body" in refused("f()", "# only a comment\n")


def test_an_error_beside_the_function_names_its_line() -> None:
    text = refused("", "import no_such_module_here\ndef f(): pass")

    assert "Cell [8] f, line 2: ModuleNotFoundError: No module named 'no_such_module_here'" in text
