"""`kernelkit serve`: tasks and schedules of modules, folders and notebooks, without a kernel.

Each file or folder is loaded by a process of its own (`kernelkit.magics.definitions`), which stays connected. When a
file changes, that process is replaced rather than told: Python cannot load a module anew in a process that has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from kernelkit.cli.options import home_option, json_option
from kernelkit.config import Home
from kernelkit.rules.cron_words import in_words
from kernelkit.ui import words

MODULE = "kernelkit.magics.definitions"
POLL_S = 0.5
STOP_S = 5.0


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--once", is_flag=True, help="Define, and leave; exit code 1 if anything was wrong.")
@home_option
@json_option
def serve(paths: tuple[Path, ...], once: bool, home: Home, as_json: bool) -> None:
    """Define the tasks and schedules of PATH…: modules (.py), packages, folders and notebooks (.ipynb).

    Goes on until Ctrl-C and defines anew when a file changes. Of a notebook only what defines is run: imports,
    constants, functions, classes, %%task cells, and whole cells tagged `define`. With --json each load is one line.

    \b
      kernelkit serve jobs.py reports.ipynb
      kernelkit serve jobs/ --once
    """
    given = [Path(os.path.abspath(path)) for path in paths]
    for path in given:
        _check(path)
    news: queue.Queue[Served | None] = queue.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: news.put(None))
    server = _Server(given, home, once, as_json, news)
    try:
        failed = server.run()
    finally:
        server.stop()
    if once:
        sys.exit(1 if failed else 0)
    if not as_json:
        click.echo("Stopped. What was defined stays defined, and its schedules go on while an engine runs.")


def _check(path: Path) -> None:
    if not path.exists():
        raise click.UsageError(f"{path} is neither a file nor a folder.")
    if path.is_file() and path.suffix not in (".py", ".ipynb"):
        raise click.UsageError(f"{path.name} is neither a module (.py) nor a notebook (.ipynb).")
    if path.is_dir() and not _units([path]):
        raise click.UsageError(f"{path} has neither modules nor notebooks.")


def _units(paths: Iterable[Path]) -> list[Path]:
    """What gets a process: files as they are; of a folder all its modules together, and each notebook."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            if any(path.glob("*.py")) or any(path.glob("*/__init__.py")):
                found.append(path)
            found += sorted(path.glob("*.ipynb"))
        else:
            found.append(path)
    return list(dict.fromkeys(found))


class Served:
    """One file or folder, and the process that defines what is in it."""

    def __init__(self, path: Path, home: Home, once: bool, news: queue.Queue[Served | None]) -> None:
        self.path = path
        self.report: dict[str, Any] = {}
        self.ids: set[str] = set()  # what it defined when it was last loaded
        self._home, self._once, self._news = home, once, news
        self._process: subprocess.Popen[str] | None = None
        self._seen: dict[str, tuple[int, int]] = {}

    def start(self) -> None:
        """Load it, anew if it was loaded; its report comes as news."""
        self.stop()
        self._seen = self._state(self.report.get("files", ()))
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(self.path), *(["--once"] if self._once else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "KERNELKIT_HOME": str(self._home.path)},
            start_new_session=True,  # Ctrl-C at the terminal is for us, and we end it
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        text = process.stdout.read()
        if process is not self._process:  # replaced meanwhile
            return
        try:
            self.report = json.loads(text)
        except json.JSONDecodeError:
            code = process.wait()
            problem = f"the process that loads it ended with exit code {code}"
            self.report = {"tasks": [], "notes": [], "problems": [f"{self.path.name}: {problem}"], "files": []}
        self._news.put(self)

    def watch(self) -> None:
        """Take the files that were found to belong to it as unchanged from when it was started on."""
        for file, state in self._state(self.report["files"]).items():
            self._seen.setdefault(file, state)

    def has_changed(self) -> bool:
        now = self._state(self._seen)
        return now != self._seen

    def _state(self, files: Iterable[str]) -> dict[str, tuple[int, int]]:
        every = {*files, str(self.path)}
        if self.path.is_dir():
            every |= {str(file) for pattern in ("*.py", "*/*.py") for file in self.path.glob(pattern)}
        found = {}
        for file in every:
            try:
                status = os.stat(file)
            except OSError:
                found[file] = (0, 0)
            else:
                found[file] = (0, 1) if os.path.isdir(file) else (status.st_mtime_ns, status.st_size)
        return found

    def let_go(self) -> None:
        """Have the process end, without waiting for it."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Server:
    def __init__(
        self, paths: list[Path], home: Home, once: bool, as_json: bool, news: queue.Queue[Served | None]
    ) -> None:
        self._paths, self._home, self._once, self._as_json, self._news = paths, home, once, as_json, news
        self._served: dict[Path, Served] = {}

    def run(self) -> bool:
        """Serve until told to stop, or until all is defined; whether anything was wrong."""
        waiting, failed = len(self._look()), False
        looked = time.monotonic()
        while waiting or not self._once:
            try:
                one = self._news.get(timeout=POLL_S)
            except queue.Empty:
                pass
            else:
                if one is None:
                    return True
                waiting -= 1
                failed = failed or bool(one.report["problems"])
                one.watch()
                self._tell(one)
            if not self._once and time.monotonic() - looked >= POLL_S:
                waiting += len(self._look())
                looked = time.monotonic()
        return failed

    def _look(self) -> list[Served]:
        """Start what is new and what has changed; returns those."""
        started = []
        units = _units(self._paths)
        for path in units:
            one = self._served.get(path)
            if one is None:
                one = self._served[path] = Served(path, self._home, self._once, self._news)
            elif not one.has_changed():
                continue
            if not path.exists():
                continue  # being saved, or gone: what it defined stays
            one.start()
            started.append(one)
        return started

    def stop(self) -> None:
        for one in self._served.values():
            one.let_go()
        for one in self._served.values():
            one.stop()

    def _tell(self, one: Served) -> None:
        report = one.report
        ids = {task["id"] for task in report["tasks"]}
        gone = sorted(one.ids - ids) if not report["problems"] else []
        one.ids = ids | (one.ids if report["problems"] else set())
        if self._as_json:
            shown = {name: report[name] for name in ("tasks", "problems", "notes")}
            click.echo(json.dumps({"path": str(one.path), **shown, "no_longer_defined": gone}, ensure_ascii=False))
            return
        click.echo(f"{_shown(one.path)}  {_count(len(report['tasks']))}")
        for task in report["tasks"]:
            line = f"  {task['id']}{task['signature']}  {task['version'] or 'not registered'}"
            if task["cron"]:
                line += f"  {in_words(task['cron'])} {task['timezone']}"
            click.echo(words.clean(line))
        for note in report["notes"]:
            click.echo(f"  {words.clean(note)}")
        for task_id in gone:
            click.echo(
                f"  {words.clean(task_id)} is not defined here any more. It stays known, and so does its schedule: "
                "`kernelkit schedules delete` ends that."
            )
        for problem in report["problems"]:
            click.echo(words.clean_block(f"  {problem}"), err=True)
        if report["problems"] and not self._once:
            click.echo("  What was defined before goes on. Save the file to have it loaded again.", err=True)


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return words.clean(str(path) if relative.startswith("..") else relative)


def _count(number: int) -> str:
    return "no tasks" if number == 0 else f"{number} task{'s' if number > 1 else ''}"
