"""Bundles: made here, loaded by another process."""

from __future__ import annotations

import itertools
import json
import linecache
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelkit.authoring import bundle as bundles
from kernelkit.authoring.bundle import TaskCode, code_fingerprint, load_bundle, make_bundle, write_bundle
from kernelkit.authoring.cells import task_from_cell
from kernelkit.config import Home
from kernelkit.errors import StoreError, TaskNotPicklableError

WORKER = """
import asyncio, inspect, json, sys, traceback
from pathlib import Path
from kernelkit.authoring.bundle import load_bundle
from kernelkit.config import Home
task = load_bundle(Home(Path(sys.argv[1])), sys.argv[2])
try:
    value = task.function(*json.loads(sys.argv[3]))
    if inspect.isawaitable(value):
        value = asyncio.run(value)
    print(json.dumps({"value": value, "task": task.task_id, "signature": task.signature.text}))
except Exception:
    print(json.dumps({"error": traceback.format_exc()}))
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / ".kernelkit").create()


def notebook(source: str, **values: Any) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__", **values}
    exec(compile(source, "<ipython-input-1>", "exec"), names)
    return names


def run_elsewhere(home: Home, hash: str, *args: Any, path: Path | None = None) -> dict[str, Any]:
    """What the bundle's function gives in a fresh process."""
    project = Path(bundles.__file__).parents[2]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [project, path or home.path]))}
    command = [sys.executable, "-W", "error", "-c", WORKER, str(home.path), hash, json.dumps(args)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def shipped(home: Home, function: Callable[..., Any]) -> str:
    return write_bundle(home, make_bundle(function, task_id="t").check())


# ---- by value --------------------------------------------------------------------------------------------------------


def test_a_cells_function_and_its_globals_arrive_in_another_process(home: Home) -> None:
    names = notebook(
        "import functools, math\n"
        "from typing import NamedTuple, NewType\n"
        "Metres = NewType('Metres', float)\n"
        "class Point(NamedTuple):\n    x: int = 0\n"
        "@functools.lru_cache(maxsize=7)\n"
        "def cached(n): return n + offset\n",
        offset=100,
    )
    cell = task_from_cell("f(n: int)", "return [cached(n), Point(3).x, Metres(1.5), math.floor(2.5)]", namespace=names)

    assert run_elsewhere(home, shipped(home, cell.function), 1) == {
        "value": [101, 3, 1.5, 2],
        "task": "t",
        "signature": "(n: int)",
    }


def test_an_async_cell_arrives(home: Home) -> None:
    cell = task_from_cell(
        "f(n)", "import asyncio\nawait asyncio.sleep(0)\nreturn n * 2", namespace={"__name__": "__main__"}
    )

    assert run_elsewhere(home, shipped(home, cell.function), 4)["value"] == 8


def test_tracebacks_in_the_worker_show_the_cells_lines(home: Home) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    cell = task_from_cell("f()", "x = 1\nraise ValueError(x)", namespace=names, number=8)

    error = run_elsewhere(home, shipped(home, cell.function))["error"]

    assert 'File "<Cell [8]>", line 3, in f\n    raise ValueError(x)' in error


def test_annotations_written_as_text_arrive_resolved(home: Home) -> None:
    names = notebook(
        "from __future__ import annotations\n"
        "from pydantic import BaseModel\n"
        "class Size(BaseModel):\n    w: int\n"
        "def f(size: Size) -> Size: return size\n"
    )
    bundle = make_bundle(names["f"], task_id="t").check()

    loaded = load_bundle(home, write_bundle(home, bundle))

    args, fields = loaded.signature.parse('{"size": {"w": 3}}')
    assert args == ()
    assert fields["size"].w == 3


def test_the_same_task_makes_the_same_bundle_and_another_value_another(home: Home) -> None:
    names = notebook("def f(): return x\n", x=1)
    first, again = (make_bundle(names["f"], task_id="t") for _ in range(2))
    names["x"] = 2

    assert first.hash == again.hash
    assert make_bundle(names["f"], task_id="t").hash != first.hash


# ---- by name ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "jobs_for_bundles.py").write_text(
        "import threading\n"
        "lock = threading.Lock()\n"
        "class Task:\n    def __init__(self, function): self.function = function\n"
        "def plain(n): return n + 1\n"
        "@Task\ndef wrapped(n):\n    with lock: return n + 2\n"
        "def outer():\n    def inner(n): return n + 3\n    return inner\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    import jobs_for_bundles  # type: ignore[import-not-found]  # written above

    yield jobs_for_bundles
    del sys.modules["jobs_for_bundles"]


def test_a_modules_function_travels_by_name_even_under_a_decorator(home: Home, module: Any) -> None:
    for function, value in ((module.plain, 2), (module.wrapped.function, 3)):
        hash = shipped(home, function)
        assert run_elsewhere(home, hash, 1, path=Path(module.__file__).parent)["value"] == value
        assert len((home.bundles / hash).read_bytes()) < 200


def test_a_nested_function_of_a_module_travels_by_value(home: Home, module: Any) -> None:
    assert run_elsewhere(home, shipped(home, module.outer()), 1)["value"] == 4


def test_a_module_that_the_worker_lacks_is_told_in_words(
    home: Home, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash = shipped(home, module.plain)
    monkeypatch.delitem(sys.modules, "jobs_for_bundles")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "project" not in entry])

    with pytest.raises(TaskNotPicklableError, match="could not be loaded in its worker: ModuleNotFoundError"):
        load_bundle(home, hash)

    sys.modules["jobs_for_bundles"] = module  # for the fixture's end


# ---- files -----------------------------------------------------------------------------------------------------------


def test_files_are_for_their_owner_alone_and_written_once(home: Home) -> None:
    bundle = make_bundle(notebook("def f(): return 1\n")["f"], task_id="t")
    path = home.bundles / write_bundle(home, bundle)
    os.utime(path, (1, 1))
    inode = path.stat().st_ino

    write_bundle(home, bundle)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_ino == inode
    assert path.stat().st_mtime > time.time() - 60  # marked as used
    assert [one.name for one in home.bundles.iterdir()] == [bundle.hash]


def test_a_lost_or_damaged_file_is_told(home: Home) -> None:
    hash = shipped(home, notebook("def f(): return 1\n")["f"])
    (home.bundles / hash).write_bytes(b"KKB1 cut")
    with pytest.raises(StoreError, match="is damaged"):
        load_bundle(home, hash)

    (home.bundles / hash).unlink()
    with pytest.raises(StoreError, match="is gone"):
        load_bundle(home, hash)


def test_a_loaded_task_brings_its_lines_back(home: Home) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    cell = task_from_cell("f()", "return 1  # mine", namespace=names, number=3)
    loaded = load_bundle(home, shipped(home, cell.function))
    task_from_cell("g()", "return 2  # another notebook's", namespace=names, number=3)

    loaded.fill_linecache()

    assert linecache.getline("<Cell [3]>", 2) == "return 1  # mine"


# ---- over time -------------------------------------------------------------------------------------------------------


def test_a_trigger_ships_again_only_what_changed(home: Home) -> None:
    names = notebook("def f(): return x\n", x=1)
    code = TaskCode(names["f"], task_id="t")
    first = code.at_definition(home)

    assert code.at_trigger(home).hash == first.hash
    names["x"] = 2
    second = code.at_trigger(home)

    assert second.hash != first.hash
    assert run_elsewhere(home, first.hash)["value"] == 1
    assert run_elsewhere(home, second.hash)["value"] == 2


def test_an_object_changed_in_place_is_shipped_again(home: Home) -> None:
    names = notebook("class Box:\n    pass\nbox = Box()\nbox.n = 1\ndef f(): return box.n\n")
    code = TaskCode(names["f"], task_id="t")
    first = code.at_definition(home)

    assert code.at_trigger(home).hash == first.hash
    names["box"].n = 2

    assert code.at_trigger(home).hash != first.hash


def test_a_definition_only_reports_and_the_trigger_refuses(home: Home) -> None:
    names = notebook("def f(): return lock, later\n", lock=__import__("threading").Lock())
    code = TaskCode(names["f"], task_id="t")

    bundle = code.at_definition(home)

    assert bundle.hash == ""
    assert len(bundle.report.lines()) == 2
    with pytest.raises(TaskNotPicklableError) as caught:
        code.at_trigger(home)
    assert caught.value.globals == ["later", "lock"]
    names.update(lock=None, later=1)
    assert code.at_trigger(home).hash


def test_a_bundle_that_was_cleaned_away_is_written_again(home: Home) -> None:
    code = TaskCode(notebook("def f(): return 1\n")["f"], task_id="t")
    hash = code.at_definition(home).hash
    (home.bundles / hash).unlink()

    assert code.at_trigger(home).hash == hash
    assert (home.bundles / hash).exists()


# ---- versions --------------------------------------------------------------------------------------------------------


_numbers = itertools.count(1)  # cells are run again under new numbers


def fingerprint(line: str, body: str, options: str = "{}", **values: Any) -> str:
    cell = task_from_cell(line, body, namespace={"__name__": "__main__", **values}, number=next(_numbers))
    return code_fingerprint(cell.function, options)


def test_only_code_and_options_make_a_new_version() -> None:
    first = fingerprint("f()", "return x", x=1)

    assert fingerprint("f()", "return x", x=2) == first
    assert fingerprint("f() --replace", "return x") == first
    assert fingerprint("f()", "return x + 1") != first
    assert fingerprint("f(y=1)", "return x") != first
    assert fingerprint("f()", "return x", '{"queue":"q"}') != first


def test_code_without_a_source_is_told_apart_too() -> None:
    one, same, other = (notebook(f"def f(): return {n}\n")["f"] for n in (1, 1, 2))

    assert code_fingerprint(one, "{}") == code_fingerprint(same, "{}")
    assert code_fingerprint(one, "{}") != code_fingerprint(other, "{}")
