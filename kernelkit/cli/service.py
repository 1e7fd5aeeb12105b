"""`kernelkit service`: have the engine of a home start with the machine, so that schedules fire after a reboot.

A systemd user unit. Where there is no systemd it says what to put into whatever starts things there.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError
from kernelkit.wire.launch import ENGINE_MODULE

UNIT = """\
[Unit]
Description=KernelKit engine of {home}

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5
KillMode=process

[Install]
WantedBy=default.target
"""


def unit_path(home: Home) -> Path:
    """Where the unit of this home lies."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "systemd" / "user" / unit_name(home)


def unit_name(home: Home) -> str:
    """Readable, and one for each home."""
    path = str(home.path.resolve())
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", home.path.resolve().parent.name) or "home"
    return f"kernelkit-{name[:40]}-{hashlib.blake2b(path.encode(), digest_size=4).hexdigest()}.service"


def unit_text(home: Home) -> str:
    """What stands in the unit: this interpreter, this home, and an engine that does not stop when idle."""
    path = str(home.path.resolve())
    command = [sys.executable, "-m", ENGINE_MODULE, "--home", path, "--keep"]
    return UNIT.format(home=path.replace("%", "%%"), command=" ".join(_quoted(word) for word in command))


def is_installed(home: Home) -> bool:
    """Whether the engine of this home starts with the machine."""
    return unit_path(home).is_file()


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
    """Write a systemd user unit for this home's engine, and start it."""
    command = shutil.which("systemctl")
    if command is None:
        raise EngineUnavailableError(
            "This machine has no systemd (`systemctl` is not found), so there is no service to install. Have whatever "
            f"starts programs here run: {_command(home)}"
        )
    path = unit_path(home)
    home.create()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(unit_text(home))
    for words in (["daemon-reload"], ["enable", "--now", path.name]):
        ended = subprocess.run([command, "--user", *words], capture_output=True, text=True, check=False)
        if ended.returncode:
            path.unlink()
            said = (ended.stderr or ended.stdout).strip() or str(ended.returncode)
            raise EngineUnavailableError(
                f"`systemctl --user {' '.join(words)}` failed, so nothing is installed. It said: {said.rstrip('.')}. "
                f"Without a user session of systemd, have whatever starts programs here run: {_command(home)}"
            )
    if as_json:
        print_json({"installed": True, "unit": path})
        return
    click.echo(f"Installed {path.name}: the engine starts when you log in.")
    click.echo(f"To have it start with the machine: loginctl enable-linger {os.environ.get('USER', '$USER')}")


@service.command()
@home_option
@json_option
def uninstall(home: Home, as_json: bool) -> None:
    """Take the unit away; the engine that it runs stops."""
    path = unit_path(home)
    if not path.is_file():
        if as_json:
            print_json({"removed": False, "unit": path})
        else:
            click.echo(f"No service is installed for {home.path}.")
        return
    command = shutil.which("systemctl")
    if command is not None:
        subprocess.run([command, "--user", "disable", "--now", path.name], capture_output=True, check=False)
    path.unlink()
    if command is not None:
        subprocess.run([command, "--user", "daemon-reload"], capture_output=True, check=False)
    if as_json:
        print_json({"removed": True, "unit": path})
    else:
        click.echo(f"Removed {path.name}.")


@service.command()
@home_option
@json_option
def status(home: Home, as_json: bool) -> None:
    """Whether the engine starts with the machine, and what systemd says of it."""
    _show(home, as_json)


def _show(home: Home, as_json: bool) -> None:
    path = unit_path(home)
    command = shutil.which("systemctl")
    state = ""
    if path.is_file() and command is not None:
        asked = subprocess.run([command, "--user", "is-active", path.name], capture_output=True, text=True, check=False)
        state = asked.stdout.strip() or asked.stderr.strip()
    if as_json:
        print_json({"installed": path.is_file(), "unit": path, "systemd": command is not None, "state": state})
    elif not path.is_file():
        click.echo(f"No service is installed for {home.path}. `kernelkit service install` makes one.")
        if command is None:
            click.echo("This machine has no systemd, so it would have to be started by something else.")
    else:
        click.echo(f"{path.name} is installed: {state or 'systemd is not there to ask'}.")


def _command(home: Home) -> str:
    return f"{sys.executable} -m {ENGINE_MODULE} --home {home.path.resolve()} --keep"


def _quoted(word: str) -> str:
    """As systemd reads words: quotes around blanks, and its own marks doubled."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if re.search(r"\s", word) else escaped
