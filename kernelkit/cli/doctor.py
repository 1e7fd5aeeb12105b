"""`kernelkit doctor`: looks at everything an engine needs, changes nothing, starts nothing.

Each check answers with one sentence. `ok` is fine, `note` is worth knowing, `bad` makes the exit code 1 and says what
to do.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import click
import msgspec
import psutil

from kernelkit.cli.engine import engine_process
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json, table
from kernelkit.config import Home
from kernelkit.errors import InvalidOptionError, KernelKitError
from kernelkit.settings import load_engine_settings
from kernelkit.ui import words
from kernelkit.version import __version__
from kernelkit.wire.discovery import find_socket, is_locked, is_marked_down, lock_owner
from kernelkit.wire.launch import ping
from kernelkit.wire.messages import PROTOCOL

KEEPER_MODULE = "kernelkit.execution.keeper"


class Finding(msgspec.Struct, frozen=True):
    """What one check found."""

    check: str
    level: Literal["ok", "note", "bad"]
    text: str


@click.command()
@home_option
@json_option
def doctor(home: Home, as_json: bool) -> None:
    """Check home, lock, socket, engine, disk, versions and keepers. Exit code 1 when something is wrong."""
    findings = list(examine(home))
    if as_json:
        print_json({"home": home.path, "findings": findings})
    else:
        click.echo(table(["check", "", "finding"], [[found.check, found.level, found.text] for found in findings]))
    if any(found.level == "bad" for found in findings):
        sys.exit(1)


def examine(home: Home) -> Iterator[Finding]:
    """All findings, in the order in which they explain each other."""
    checks: list[Callable[[Home], Iterator[Finding]]] = [
        _versions,
        _home,
        _settings,
        _disk,
        _lock,
        _socket,
        _engine,
        _keepers,
        _orphans,
    ]
    for check in checks:
        yield from check(home)


def _versions(_: Home) -> Iterator[Finding]:
    found = [f"Python {platform.python_version()}", f"protocol {PROTOCOL}"]
    for name in ("kernelkit", "duckdb", "anywidget", "ipykernel"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    yield Finding("versions", "ok", ", ".join(found))


def _home(home: Home) -> Iterator[Finding]:
    try:
        facts = home.path.stat()
    except FileNotFoundError:
        yield Finding("home", "note", f"{home.path} does not exist yet; the first engine makes it")
        return
    except OSError as error:
        yield Finding("home", "bad", f"{home.path} cannot be looked at: {error.strerror}")
        return
    if not stat.S_ISDIR(facts.st_mode):
        yield Finding("home", "bad", f"{home.path} is not a folder; move it away")
    elif facts.st_uid != os.getuid():
        yield Finding(
            "home", "bad", f"{home.path} belongs to user {facts.st_uid}, not to you; name another with --home"
        )
    elif not os.access(home.path, os.W_OK | os.X_OK):
        yield Finding("home", "bad", f"{home.path} cannot be written; run chmod u+rwx on it")
    elif stat.S_IMODE(facts.st_mode) & 0o077:
        yield Finding("home", "bad", f"{home.path} is open to other users; run chmod 700 on it")
    else:
        size = home.database.stat().st_size if home.database.exists() else 0
        yield Finding("home", "ok", f"{home.path}, database {words.size(size)}")


def _settings(home: Home) -> Iterator[Finding]:
    try:
        load_engine_settings(home)
    except InvalidOptionError as error:
        yield Finding("settings", "bad", str(error))


def _disk(home: Home) -> Iterator[Finding]:
    place = next(folder for folder in (home.path, *home.path.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    try:
        needed = load_engine_settings(home).min_free_bytes
    except InvalidOptionError:
        return
    if free < needed:
        text = f"{words.size(free)} free, {words.size(needed)} needed: nothing new is taken. Free some space"
        yield Finding("disk", "bad", text)
    else:
        yield Finding("disk", "ok", f"{words.size(free)} free")


def _lock(home: Home) -> Iterator[Finding]:
    if is_locked(home):
        owner = lock_owner(home)
        if owner is not None and engine_process(home) is not None:
            yield Finding("lock", "ok", f"held by the engine with pid {owner.pid}, version {owner.version}")
        else:
            named = f" (its file names pid {owner.pid})" if owner is not None else ""
            yield Finding("lock", "bad", f"{home.lock} is held by something that is no engine{named}; end that process")
    elif is_marked_down(home):
        yield Finding("lock", "note", "no engine runs: `kernelkit down` stopped it; `kernelkit up` starts it")
    else:
        yield Finding("lock", "note", "no engine runs; it starts when it is needed")


def _socket(home: Home) -> Iterator[Finding]:
    path = find_socket(home)
    try:
        facts = path.stat()
    except OSError:
        if is_locked(home):
            text = f"{path} is missing although an engine runs; run `kernelkit restart`"
            yield Finding("socket", "bad", text)
        return
    if stat.S_IMODE(facts.st_mode) & 0o077 or stat.S_IMODE(path.parent.stat().st_mode) & 0o077:
        yield Finding("socket", "bad", f"{path} or its folder is open to other users; run `kernelkit restart`")
    else:
        yield Finding("socket", "ok", str(path) + ("" if is_locked(home) else " (left behind, harmless)"))


def _engine(home: Home) -> Iterator[Finding]:
    if not is_locked(home):
        return
    try:
        welcome = ping(home)
    except KernelKitError as error:
        yield Finding("engine", "bad", str(error))
        return
    if welcome is None:
        yield Finding("engine", "bad", "it holds the lock but nobody listens; if it stays so, run `kernelkit restart`")
    elif welcome.package != __version__:
        text = f"answers, but is version {welcome.package}; `kernelkit restart` brings it to {__version__}"
        yield Finding("engine", "note", text)
    else:
        yield Finding("engine", "ok", f"answers, pid {welcome.pid}")


def _keepers(home: Home) -> Iterator[Finding]:
    pids = [process.pid for process in psutil.process_iter(["cmdline"]) if _is_keeper(process, home)]
    if pids and not is_locked(home):
        text = f"{len(pids)} without an engine (pid {', '.join(map(str, pids))}); they start one or end by themselves"
        yield Finding("keepers", "note", text)
    else:
        yield Finding("keepers", "ok", f"{len(pids)}" + (f" (pid {', '.join(map(str, pids))})" if pids else ""))


def _is_keeper(process: psutil.Process, home: Home) -> bool:
    command = process.info["cmdline"] or []
    return KEEPER_MODULE in command and str(home.path) in command


def _orphans(home: Home) -> Iterator[Finding]:
    waiting = len(list(home.orphans.glob("*.jsonl"))) if home.orphans.is_dir() else 0
    if waiting:
        yield Finding(
            "orphans", "note", f"results of {waiting} workers wait for an engine: `kernelkit up` takes them in"
        )
