"""`kernelkit service`: have the engine of a home start with the machine, so that schedules fire after a reboot.

A systemd user unit (`unit.py`). Where there is no systemd it says what to put into whatever starts things there.
"""

from __future__ import annotations

import os
import shlex
import time

import click
from click.core import ParameterSource

from kernelkit.cli import unit
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError
from kernelkit.wire.discovery import clear_down_mark, is_locked, is_marked_down, lock_owner

STARTS_WITHIN_S = 20.0
LOOK_S = 0.05


@click.group(invoke_without_command=True)
@home_option
@json_option
@click.pass_context
def service(ctx: click.Context, home: Home, as_json: bool) -> None:
    """Start the engine with the machine, so that schedules fire after a reboot; alone, say whether it does."""
    if ctx.invoked_subcommand is None:
        _show(home, as_json)
    elif ctx.get_parameter_source("home") is ParameterSource.COMMANDLINE:
        raise click.UsageError(f"Write --home behind the word {ctx.invoked_subcommand}.")


@service.command()
@home_option
@json_option
def install(home: Home, as_json: bool) -> None:
    """Write a systemd user unit for this home's engine, and start it.

    An engine that runs already goes on, and the service takes over when it ends.
    """
    if not unit.has_systemd():
        raise EngineUnavailableError(
            "This machine has no systemd (`systemctl` is not found), so there is no service to install. Have whatever "
            f"starts programs here run: {_command(home)}"
        )
    path = unit.unit_path(home)
    before = path.read_text() if path.is_file() else None
    text = unit.unit_text(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    try:
        _tell("daemon-reload")
        _tell("enable", path.name)
        home.create()
        clear_down_mark(home)
        _tell("start" if before == text else "restart", path.name)
    except _RefusedError as refused:
        _take_back(home, before)
        raise EngineUnavailableError(
            f"{refused} Without a user session of systemd, have whatever starts programs here run: {_command(home)}"
        ) from None
    _await_engine(home)
    if as_json:
        print_json({"installed": True, "unit": path, "lingering": unit.is_lingering()})
        return
    click.echo(f"Installed {path.name}.")
    click.echo(_stands(home, unit.unit_state(home)))
    click.echo(_when_it_starts())


@service.command()
@home_option
@json_option
def uninstall(home: Home, as_json: bool) -> None:
    """Take the unit away; the engine that it runs stops."""
    path = unit.unit_path(home)
    if not path.is_file():
        if as_json:
            print_json({"removed": False, "unit": path})
        else:
            click.echo(f"No service is installed for {home.path}.")
        return
    _take_back(home, None)
    if as_json:
        print_json({"removed": True, "unit": path})
        return
    click.echo(f"Removed {path.name}.")
    if (pid := _running(home)) is not None:
        click.echo(f"The engine with pid {pid}, which it did not start, goes on; `kernelkit down` stops it.")


@service.command()
@home_option
@json_option
def status(home: Home, as_json: bool) -> None:
    """Whether the engine starts with the machine, and what systemd says of it."""
    _show(home, as_json)


class _RefusedError(Exception):
    """systemd did not do what it was told; its words."""


def _tell(*words: str) -> None:
    ended = unit.systemctl(*words)
    if ended.returncode:
        said = " ".join((ended.stderr or ended.stdout).split()) or f"exit code {ended.returncode}"
        told = f"`systemctl --user {' '.join(words)}` failed, so nothing is installed. It said: {said.rstrip('.')}."
        raise _RefusedError(told + _hint(said))


def _take_back(home: Home, before: str | None) -> None:
    """Stop the unit and take it away; or, where an earlier one stood, have that again."""
    path = unit.unit_path(home)
    if before is not None:
        path.write_text(before)
    elif unit.has_systemd():
        unit.systemctl("disable", "--now", path.name)  # while it is there: systemd asks it where its links are
    if before is None:
        path.unlink()
    if unit.has_systemd():
        unit.systemctl("daemon-reload")
        unit.systemctl("reset-failed", path.name)


def _await_engine(home: Home) -> None:
    """Until an engine has the home; raises `EngineUnavailableError` when none comes."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not is_locked(home):
        if time.monotonic() > deadline:
            raise EngineUnavailableError(
                f"{unit.unit_name(home)} is installed, but no engine has come up so far. "
                f"`systemctl --user status {unit.unit_name(home)}` and {home.engine_log} say why."
            )
        time.sleep(LOOK_S)


def _show(home: Home, as_json: bool) -> None:
    path, state = unit.unit_path(home), unit.unit_state(home)
    installed = path.is_file()
    if as_json:
        told = {"installed": installed, "unit": path, "systemd": unit.has_systemd(), "lingering": unit.is_lingering()}
        print_json(told | {"state": state.get("ActiveState", "") if installed else "", "engine": _running(home)})
        return
    if not installed:
        click.echo(f"No service is installed for {home.path}. `kernelkit service install` makes one.")
        if not unit.has_systemd():
            click.echo("This machine has no systemd, so it would have to be started by something else.")
        return
    click.echo(f"{path.name} is installed.")
    click.echo(_stands(home, state))
    if path.read_text() != unit.unit_text(home):
        click.echo("It was made by another installation of KernelKit; `kernelkit service install` writes it anew.")
    click.echo(_when_it_starts())


def _stands(home: Home, state: dict[str, str]) -> str:
    """How the unit stands, and what would change it."""
    name = unit.unit_name(home)
    active, pid = state.get("ActiveState"), _running(home)
    if active is None:
        why = "systemd does not answer here" if unit.has_systemd() else "systemd is not there to ask"
        return f"How it stands is not known: {why}."
    if active in ("active", "activating") and pid is not None:
        if state.get("MainPID") == str(pid):
            return f"It runs the engine, with pid {pid}."
        return f"It stands by: the engine with pid {pid} was started by something else. It takes over when that ends."
    if active == "active" and is_marked_down(home):
        return "It stands by: `kernelkit down` stopped the engine, so nothing fires. `kernelkit up` starts it."
    if active == "active":
        return "It is starting the engine."
    if state.get("SubState") == "auto-restart":
        return f"Its engine has ended; systemd starts it again within 5 s. {home.engine_log} says why it ended."
    if active == "inactive" and state.get("ConditionResult") == "no" and not home.path.is_dir():
        return f"It does not run: there is no home {home.path}. `kernelkit service uninstall` takes it away."
    word = "It has failed" if active == "failed" else f"It does not run (systemd says {active})"
    return f"{word}. `systemctl --user start {name}` starts it, `systemctl --user status {name}` says more."


def _when_it_starts() -> str:
    if unit.is_lingering():
        return "It starts with the machine, before anybody logs in."
    return (
        "It starts when you log in. To have schedules fire from the machine's start on, before a login and after "
        f"logging out: loginctl enable-linger {shlex.quote(unit.user_name())}"
    )


def _running(home: Home) -> int | None:
    owner = lock_owner(home) if is_locked(home) else None
    return None if owner is None else owner.pid


def _hint(said: str) -> str:
    """What is usually amiss where no user session is found."""
    if "bus" not in said.lower() or os.environ.get("XDG_RUNTIME_DIR"):
        return ""
    return " XDG_RUNTIME_DIR is not set, as after `su` or `sudo`: log in as this user and try again."


def _command(home: Home) -> str:
    return shlex.join(unit.engine_command(home))
