"""`kernelkit config`: the engine's settings of this project, read and changed without an engine."""

from __future__ import annotations

import json

import click

from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json, table
from kernelkit.config import Home
from kernelkit.settings import Setting, known_name, read_settings, write_setting
from kernelkit.wire.discovery import is_locked

_USAGE = {"list": 0, "get": 1, "set": 2, "unset": 1}


@click.command()
@click.argument("action", type=click.Choice(list(_USAGE)), default="list")
@click.argument("words", nargs=-1, metavar="[NAME [VALUE]]")
@home_option
@json_option
def config(action: str, words: tuple[str, ...], home: Home, as_json: bool) -> None:
    """Show or change the engine's settings of this project.

    \b
      kernelkit config                          every setting, and where it comes from
      kernelkit config get idle_stop
      kernelkit config set idle_stop 30m        kept in the home; before pyproject.toml
      kernelkit config unset idle_stop

    An engine reads them when it starts. Defaults of tasks (retry, machine, …) are no settings of the engine: they stand
    in [tool.kernelkit] of pyproject.toml.
    """
    if len(words) != _USAGE[action]:
        wanted = " ".join(("NAME", "VALUE")[: _USAGE[action]]) or "nothing more"
        raise click.UsageError(f"`kernelkit config {action}` takes {wanted}.")
    if action in ("set", "unset"):
        write_setting(home, words[0], words[1] if action == "set" else None)
    settings = read_settings(home)
    if action == "list":
        _show_all(settings, as_json=as_json)
        return
    known_name(words[0], "an engine setting", "")
    setting = next(setting for setting in settings if setting.name == words[0])
    if as_json:
        print_json(_facts(setting))
    elif action == "get":
        click.echo(_shown(setting))
    else:
        click.echo(f"{setting.name} is {_shown(setting)} ({_from(setting)}).")
        if is_locked(home):
            click.echo("The engine that runs keeps what it has; `kernelkit restart` makes it read this.")


def _show_all(settings: list[Setting], *, as_json: bool) -> None:
    if as_json:
        print_json([_facts(setting) for setting in settings])
        return
    rows = [[setting.name, _shown(setting), _from(setting)] for setting in settings]
    click.echo(table(["setting", "value", "from"], rows))


def _facts(setting: Setting) -> dict[str, float | bool | str]:
    return {"name": setting.name, "value": setting.value, "source": setting.source}


def _shown(setting: Setting) -> str:
    return setting.value if isinstance(setting.value, str) else json.dumps(setting.value)


def _from(setting: Setting) -> str:
    return setting.source if setting.source == "default" else f"from {setting.source}"
