"""`kernelkit up | down | restart | status`.

`up` and `restart` start an engine that stays until it is told to stop; `down` leaves a mark, after which only an
explicit call starts one again. Stopping never relies on the engine's good will alone: one that no longer answers is
ended by its pid, once the lock shows that it still holds the home. Its runs are safe: keepers and workers go on, and
the next engine adopts them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import click
import psutil

from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import plain, print_json, terminal_width
from kernelkit.clock import to_datetime
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError
from kernelkit.ui import words
from kernelkit.ui.engine_panel import engine_text, engine_view
from kernelkit.ui.text import wants_ascii
from kernelkit.wire.discovery import clear_down_mark, is_held_by, is_locked, is_marked_down, lock_owner, mark_down
from kernelkit.wire.launch import ENGINE_MODULE
from kernelkit.wire.messages import Done, EngineStatus, GetStatus, StopEngine

NOT_RUNNING = 3
STOP_WITHIN_S = 30.0  # an engine that leaves its attempts to the keepers has nothing to wait for


@click.command()
@home_option
@json_option
def up(home: Home, as_json: bool) -> None:
    """Start the engine of this project and keep it running until `kernelkit down`.

    An engine that a notebook started is replaced by one that stays; attempts under way go on.
    """
    was_running = is_locked(home)
    if was_running and not _is_kept(home):
        _stop(home, leave=True, mark=False)
    clear_down_mark(home)
    with Link(home, explicit=True, keep=True) as link:
        found = link.ask(GetStatus(), EngineStatus)
    if as_json:
        print_json(status_json(found))
    else:
        click.echo(f"The engine of {home.path} runs with pid {found.pid} until `kernelkit down`.")


@click.command()
@click.option(
    "--now", is_flag=True, help="Do not wait for executing attempts: they go on, and the next engine takes them up."
)
@home_option
@json_option
def down(now: bool, home: Home, as_json: bool) -> None:
    """Stop the engine; only an explicit call starts it again.

    Attempts that are executing may finish first; queued runs stay queued.
    """
    if not home.path.is_dir():
        _say(as_json, {"stopped": False, "home": home.path}, f"There is no home at {home.path}, so no engine to stop.")
        return
    if not is_locked(home):
        mark_down(home)
        _say(as_json, {"stopped": False, "home": home.path}, f"No engine runs for {home.path}. It is marked as down.")
        return
    tell = None if as_json else _tell_about(home)
    _stop(home, leave=now, mark=True, tell=tell)
    _say(as_json, {"stopped": True, "home": home.path}, f"The engine of {home.path} has stopped.")


@click.command()
@home_option
@json_option
def restart(home: Home, as_json: bool) -> None:
    """Stop the engine and start it anew; attempts under way go on and are taken up by the new one."""
    if is_locked(home):
        _stop(home, leave=True, mark=False)
    with Link(home, explicit=True, keep=True) as link:
        found = link.ask(GetStatus(), EngineStatus)
    if as_json:
        print_json(status_json(found))
    else:
        click.echo(f"The engine of {home.path} runs anew, with pid {found.pid}.")


@click.command()
@home_option
@json_option
def status(home: Home, as_json: bool) -> None:
    """Is an engine running, and what is it doing? Exit code 3 when none runs. Starts nothing."""
    if not is_locked(home):
        marked = is_marked_down(home)
        why = "`kernelkit down` stopped it; `kernelkit up` starts it." if marked else "It starts when it is needed."
        data = {"running": False, "home": home.path, "marked_down": marked}
        _say(as_json, data, f"No engine runs for {home.path}. {why}")
        sys.exit(NOT_RUNNING)
    with Link(home, start=False) as link:
        found = link.ask(GetStatus(), EngineStatus)
    if as_json:
        print_json(status_json(found))
    else:
        click.echo(status_text(found, now=datetime.now(UTC)))


def _say(as_json: bool, data: dict[str, object], text: str) -> None:
    if as_json:
        print_json(data)
    else:
        click.echo(text)


def status_json(found: EngineStatus) -> dict[str, object]:
    """What `--json` prints of a running engine."""
    fields: dict[str, object] = plain(found)
    return {"running": True, **fields, "started_at": to_datetime(found.started_at).isoformat()}


def status_text(found: EngineStatus, *, now: datetime) -> str:
    """What people read of a running engine: its text face, then each worker and where the log is."""
    view = engine_view(found, now=now, zone=words.local_zone())
    workers = [f"  {worker.kind}, pid {worker.pid}: {worker.doing}" for worker in view.workers]
    commits = [f"  a commit takes {found.commit * 1e3:,.1f} ms, p95 {found.commit_p95 * 1e3:,.1f} ms"]
    return "\n".join(
        [
            engine_text(view, width=terminal_width(), ascii=wants_ascii()),
            *workers,
            *(commits if found.commit >= 0 else ()),
            f"  log {found.log_path}",
        ]
    )


# ---- stopping -----------------------------------------------------------------------------------------------------


def _stop(home: Home, *, leave: bool, mark: bool, tell: Callable[[], None] | None = None) -> None:
    """Have the engine stop, and wait until it has let go of the home and its process is gone."""
    process, owner = engine_process(home), lock_owner(home)
    try:
        with Link(home, start=False) as link:
            link.ask(StopEngine(leave=leave, mark=mark), Done)
    except EngineUnavailableError:
        if mark:
            mark_down(home)
        if not is_locked(home):
            return
        _end_process(home)
    deadline = time.monotonic() + STOP_WITHIN_S if leave else None
    told_at = time.monotonic() + 1.0
    while is_held_by(home, owner):
        if deadline is not None and time.monotonic() > deadline:
            _end_process(home)
        if tell is not None and time.monotonic() > told_at:
            tell()
            tell = None
        time.sleep(0.05)
    if process is not None:
        with suppress(psutil.TimeoutExpired):
            process.wait(5)


def _tell_about(home: Home) -> Callable[[], None]:
    def tell() -> None:
        click.echo(
            "Waiting for executing attempts to finish. Ctrl-C leaves this command; the engine goes on stopping. "
            f"`kernelkit down --now --home {home.path}` does not wait.",
            err=True,
        )

    return tell


def _end_process(home: Home) -> None:
    """End an engine that does not answer: terminate, then kill. Its workers are not its children and go on."""
    process = engine_process(home)
    if process is None:
        owner = lock_owner(home)
        raise EngineUnavailableError(
            f"Something holds {home.lock} but does not answer"
            + (f"; the lock file names pid {owner.pid}" if owner is not None else "")
            + ". End that process, then try again.",
            home=str(home.path),
        )
    process.terminate()
    try:
        process.wait(5)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(5)


def engine_process(home: Home) -> psutil.Process | None:
    """The process that holds the home, if it is surely an engine of ours."""
    owner = lock_owner(home)
    if owner is None or not is_locked(home):
        return None
    try:
        process = psutil.Process(owner.pid)
        return process if ENGINE_MODULE in process.cmdline() else None
    except psutil.Error:
        return None


def _is_kept(home: Home) -> bool:
    """Whether the running engine was told not to stop when idle."""
    process = engine_process(home)
    try:
        return process is None or "--keep" in process.cmdline()
    except psutil.Error:
        return True
