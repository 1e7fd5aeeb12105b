"""The engine's settings: where each comes from, and how it is read and written.

    kernelkit config set …  (settings.json in the home)  >  [tool.kernelkit.engine] in pyproject.toml  >  the default

Only the engine reads them, once, when it starts. What a newcomer would get wrong: defaults of tasks are no settings;
they stand in `[tool.kernelkit]` itself, and the process that defines a task reads them.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from kernelkit.config import EngineSettings, Home
from kernelkit.durations import to_seconds
from kernelkit.errors import InvalidDurationError, InvalidOptionError

TABLE = "[tool.kernelkit.engine]"
NAMES = EngineSettings.__struct_fields__
_IN_SECONDS = {"idle_stop", "cancel_grace", "adopt_within", "stalled_after"}  # these take any duration
_TYPES: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(EngineSettings)}


class Setting(NamedTuple):
    """One setting: its value, and the file that says so, or "default"."""

    name: str
    value: float | bool | str
    source: str


def load_engine_settings(home: Home) -> EngineSettings:
    """Settings of the project around `home`; raises `InvalidOptionError` naming file and key."""
    return EngineSettings(**{setting.name: setting.value for setting in read_settings(home)})  # type: ignore[arg-type]  # each was checked against its field


def read_settings(home: Home) -> list[Setting]:
    """Every setting with where it comes from; raises `InvalidOptionError` naming file and key."""
    project, own = home.path.parent / "pyproject.toml", home.settings
    found = {name: Setting(name, getattr(EngineSettings(), name), "default") for name in NAMES}
    for file, where, values in (
        (project, f"{project}, table {TABLE}", _read(project, tomllib.loads, ("tool", "kernelkit", "engine"))),
        (own, str(own), _read(own, json.loads, ())),
    ):
        for name, value in values.items():
            found[name] = Setting(name, checked(name, value, where), str(file))
    return list(found.values())


def write_setting(home: Home, name: str, text: str | None) -> None:
    """Keep a setting in the home, or with None forget it; raises `InvalidOptionError`.

    A running engine goes on with what it has read.
    """
    known_name(name, "an engine setting", "")
    values = dict(_read(home.settings, json.loads, ()))
    if text is None:
        values.pop(name, None)
    else:
        values[name] = checked(name, _from_text(text), "kernelkit config set")
    home.create()
    fresh = home.settings.with_name(f"{home.settings.name}.{os.getpid()}")
    fresh.write_text(json.dumps(values, indent=2) + "\n")
    fresh.chmod(0o600)
    fresh.replace(home.settings)


def checked(name: str, value: Any, where: str) -> Any:  # any value a file may hold; a setting's then
    """`value` as that setting; raises `InvalidOptionError` that begins with `where`."""
    known_name(name, "an engine setting", where)
    try:
        if name in _IN_SECONDS and isinstance(value, str):
            value = to_seconds(value, field=name)
        return msgspec.convert(value, _TYPES[name])
    except (msgspec.ValidationError, InvalidDurationError) as cause:
        raise InvalidOptionError(f"{where}: {name} = {json.dumps(value, default=str)} will not do: {cause}") from cause


def known_name(name: str, what: str, where: str) -> None:
    """Raise `InvalidOptionError` with the nearest name unless it is one of the settings."""
    if name in NAMES:
        return
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    begin = f"{where}: " if where else ""
    raise InvalidOptionError(f"{begin}{name!r} is not {what}. {hint}They are: {', '.join(NAMES)}.", near=near)


def _from_text(text: str) -> object:
    """What stands on a command line: JSON if it reads as such, else text."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _read(file: Path, parse: Callable[[str], Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    """The table at `path` of a file, {} where there is none."""
    try:
        table = parse(file.read_text())
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as cause:  # what both parsers raise is a ValueError
        raise InvalidOptionError(f"{file} cannot be read: {cause}.") from cause
    for name in path:
        table = table.get(name, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise InvalidOptionError(f"{file} holds no table of settings where one is expected.")
    return table
