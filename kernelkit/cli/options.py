"""Options that every command has, and how a command reaches its engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kernelkit.config import Home, find_home

Command = TypeVar("Command", bound=Callable[..., Any])  # any function that click calls with its options


def _to_home(_: click.Context, __: click.Parameter, value: Path | None) -> Home:
    return find_home(explicit=value)


def home_option(command: Command) -> Command:
    """`--home`, handed on as a `Home`."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        callback=_to_home,
        help="The project's .kernelkit folder. Default: KERNELKIT_HOME, else the nearest one upward from here.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`, handed on as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)
