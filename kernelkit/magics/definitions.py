"""A process that defines the tasks of one file or folder and stays connected: `kernelkit serve` has one for each.

It tells what it found as one JSON document on its standard output (what the loaded code prints goes to standard error),
and ends when its standard input does. A change of a file is for another process: modules are never loaded twice in one.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from kernelkit.authoring.task import Task, on_definition
from kernelkit.client.default import default_client
from kernelkit.errors import KernelKitError

LOOK_EVERY_S = 5.0
GRACE_S = 3.0


class Definitions:
    """What was found: tasks by id, what is wrong with which file, and the files all of it came from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tasks: dict[str, Task[..., Any]] = {}
        self.problems: list[str] = []
        self.left_out: dict[str, int] = {}
        self._stop_listening = on_definition(self._defined)

    def _defined(self, task: Task[..., Any]) -> None:
        self.tasks[task.id] = task

    def load(self) -> None:
        """Run what defines tasks; what it raises becomes a problem."""
        try:
            if self.path.suffix == ".ipynb":
                self._load_notebook()
            else:
                self._load_modules()
        finally:
            self._stop_listening()

    def _load_modules(self) -> None:
        for name, file, root in modules_of(self.path):
            if not all(part.isidentifier() for part in name.split(".")):
                self.problems.append(f"{file.name}: {name!r} cannot be imported under that name. Rename the file.")
                continue
            if str(root) not in sys.path:
                sys.path.insert(0, str(root))
            try:
                module = importlib.import_module(name)
            except KernelKitError as error:
                self.problems.append(f"{_at(error, file)}: {error}")
            except (Exception, SystemExit) as error:  # a module may raise anything, and call sys.exit
                self.problems.append(f"{_at(error, file)}: {type(error).__name__}: {_words(error)}")
            else:
                loaded = getattr(module, "__file__", None)
                if loaded is not None and os.path.realpath(loaded) != os.path.realpath(file):
                    self.problems.append(
                        f"{file.name}: `import {name}` finds {loaded} instead. Give the file a name of its own."
                    )

        # A module that failed is taken back by Python, and so are its tasks: what was defined before goes on.
        self.tasks = {
            id: task for id, task in self.tasks.items() if getattr(task.function, "__module__", "") in sys.modules
        }

    def _load_notebook(self) -> None:
        from kernelkit.magics.served_notebook import run_definitions  # brings IPython

        os.environ["JPY_SESSION_NAME"] = str(self.path)  # so that a kernel of this notebook is the same owner
        os.chdir(self.path.parent)
        sys.path.insert(0, str(self.path.parent))
        names, self.left_out = run_definitions(self.path, self.problems)
        for value in names.values():
            if isinstance(value, Task):
                self.tasks.setdefault(value.id, value)

    def register(self) -> None:
        """Tell the engine of all tasks."""
        for task in self.tasks.values():
            try:
                task.register()
            except KernelKitError as error:
                self.problems.append(f"{task.id}: {error}")

    def report(self) -> dict[str, Any]:
        """What `kernelkit serve` shows, and which files it watches."""
        notes = [f"{task.id}: {line}" for task in self.tasks.values() for line in self._remarks(task)]
        tasks = [
            {
                "id": task.id,
                "version": task.version or "",
                "signature": task.signature.text,
                "cron": "" if task.timing is None else task.timing.cron,
                "timezone": "" if task.timing is None else task.timing.timezone,
            }
            for task in self.tasks.values()
        ]
        return {"tasks": tasks, "problems": self.problems, "notes": notes, "files": sorted(self._files())}

    def _remarks(self, task: Task[..., Any]) -> Iterator[str]:
        if task.notice:
            yield task.notice
        if task.captures is None:
            return
        yield from task.captures.lines()
        for capture in task.captures.problems:
            if (cell := self.left_out.get(capture.name)) is not None:
                yield (
                    f"`{capture.name}` is assigned in cell [{cell}], which is not run here as it does more than "
                    "define. Tag that cell `define`, or have the task compute the value."
                )

    def _files(self) -> set[str]:
        """The project's files that were loaded: below the path, its folder or the working folder, no libraries."""
        near = {os.path.realpath(folder) for folder in (self.path if self.path.is_dir() else self.path.parent, ".")}
        found = {str(self.path)} if self.path.is_file() else set()
        for module in list(sys.modules.values()):
            file = os.path.realpath(getattr(module, "__file__", None) or "/")
            inside = any(file.startswith(folder.rstrip(os.sep) + os.sep) for folder in near)
            if inside and not file.startswith(sys.prefix + os.sep) and "site-packages" not in file:
                found.add(file)
        return found


def modules_of(path: Path) -> list[tuple[str, Path, Path]]:
    """Name, file and import folder of each module that `path` stands for: a file, a package, or a folder of both."""
    if path.is_file():
        root, parts = path.parent, [path.stem]
        while (root / "__init__.py").is_file():
            root, parts = root.parent, [root.name, *parts]
        if parts[-1] == "__init__":
            parts.pop()
        return [(".".join(parts), path, root)]
    if (path / "__init__.py").is_file():
        return [one for file in _files_of_package(path) for one in modules_of(file)]
    found = [one for file in sorted(path.glob("*.py")) for one in modules_of(file)]
    for package in sorted(path.glob("*/__init__.py")):
        found += [one for file in _files_of_package(package.parent) for one in modules_of(file)]
    return found


def _files_of_package(folder: Path) -> Iterator[Path]:
    yield folder / "__init__.py"
    for module in pkgutil.iter_modules([str(folder)]):
        if module.ispkg:
            yield from _files_of_package(folder / module.name)
        elif module.name != "__main__" and (folder / f"{module.name}.py").is_file():
            yield folder / f"{module.name}.py"


def _at(error: BaseException, file: Path) -> str:
    """The file, and the line in it that the error came from."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{os.path.basename(error.filename)} line {error.lineno}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.realpath(frame.filename) == os.path.realpath(file)
    ]
    return f"{file.name} line {lines[-1]}" if lines and lines[-1] else file.name


def _words(error: BaseException) -> str:
    return str(error.msg if isinstance(error, SyntaxError) else error)


def main() -> NoReturn:
    """Define, report, and stay until standard input ends; with `--once` as a second word, leave at once."""
    path, once = Path(sys.argv[1]), "--once" in sys.argv[2:]
    sys.argv[:] = [str(path)]
    if sys.path[0] == "":
        sys.path[0] = os.getcwd()
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    stop = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.buffer.read()
        stop.set()
        threading.Timer(GRACE_S, os._exit, (1,)).start()  # code that hangs while it is loaded

    threading.Thread(target=wait_for_end, name="kernelkit-serve-end", daemon=True).start()
    client = default_client()
    definitions = Definitions(path)
    code = 1
    try:
        try:
            client.connect()
            definitions.load()
            definitions.register()
        except KernelKitError as error:
            definitions.problems.append(str(error))
        with report:
            json.dump(definitions.report(), report)
        while not once and not stop.wait(LOOK_EVERY_S):
            if not client.is_connected:
                _reconnect()
        client.close()
        code = 0
    except Exception:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)  # whatever threads the loaded code has started


def _reconnect() -> None:
    """An engine that died is started again, so that schedules fire; one that was stopped on purpose is not."""
    try:
        default_client().connect()
    except KernelKitError:
        return  # asked again in a moment


if __name__ == "__main__":
    main()
