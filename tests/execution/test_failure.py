from __future__ import annotations

import linecache
import sysconfig

import pytest

import kernelkit
from kernelkit.errors import UnknownTaskError
from kernelkit.execution.failure import describe, is_own


@pytest.mark.parametrize(
    ("file", "own"),
    [
        ("cell [3] of thumbs.ipynb", True),
        ("<kernelkit task resize v3>", True),
        ("/home/ada/project/jobs.py", True),
        ("/home/ada/project/.venv/lib/python3.11/site-packages/pandas/core/frame.py", False),
        (sysconfig.get_path("stdlib") + "/json/decoder.py", False),
        (kernelkit.__file__, False),
        ("<frozen importlib._bootstrap>", False),
    ],
)
def test_own_is_what_the_reader_wrote(file: str, own: bool) -> None:
    assert is_own(file) is own


def test_lines_of_a_cell_are_shown_with_their_neighbours() -> None:
    name = "cell [3] of thumbs.ipynb"
    source = "def area(w, h):\n    size = w * h\n    return size / 0\n"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space: dict[str, object] = {}
    exec(compile(source, name, "exec"), space)
    try:
        space["area"](1, 2)  # type: ignore[operator]  # it is the function above
    except ZeroDivisionError as error:
        told = describe(error)

    frame = told.frames[-1]
    assert (frame.file, frame.line, frame.function, frame.own) == (name, 3, "area", True)
    assert (frame.before, frame.source, frame.after) == ("    size = w * h", "    return size / 0", "")
    assert f'File "{name}", line 3, in area\n    return size / 0' in told.traceback


def test_causes_notes_and_codes_are_kept() -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as cause:
            cause.add_note("look here")
            raise UnknownTaskError("No task 'x'.") from cause
    except UnknownTaskError as error:
        told = describe(error)

    assert told.code == "unknown_task"
    assert "KeyError: 'inner'" in told.traceback
    assert "look here" in told.traceback
    assert "direct cause" in told.traceback


def test_an_exception_that_cannot_be_shown_is_described_all_the_same() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    told = describe(Odd())

    assert told.name == "Odd"
    assert "cannot be shown" in told.message
    assert "Odd" in told.traceback


def test_text_that_cannot_travel_is_replaced() -> None:
    told = describe(ValueError("a\udc80b\0c"))

    assert told.message == "a?bc"
    told.traceback.encode()
