"""What `%runs` does: one page of the project's runs as a table, newest first."""

from __future__ import annotations

import difflib
import shlex
from typing import Any

from kernelkit.authoring.runs import Page, Runs
from kernelkit.errors import InvalidOptionError
from kernelkit.magics.shown import Bundle
from kernelkit.ui import display

FILTERS = ("status", "task", "tag", "queue", "batch", "parent", "limit", "after")


def page(line: str) -> Bundle:
    """The table that `%runs {line}` asks for; raises `InvalidOptionError` naming the filter that will not do."""
    filters = read_filters(line)
    found: Page = Runs().list(**filters)
    words = ", ".join(f"{name} {' or '.join(_texts(value))}" for name, value in filters.items() if name != "limit")
    return display.runs_bundle(found.runs, total=found.total, has_more=found.has_more, filters=words)


def read_filters(line: str) -> dict[str, Any]:
    """`--status failed --task resize` as keywords of `kk.runs.list`; several values are joined by commas.

    >>> read_filters("--status failed,crashed --limit 5")
    {'status': ['failed', 'crashed'], 'limit': 5}
    """
    try:
        words = shlex.split(line)
    except ValueError as cause:
        raise InvalidOptionError(f"`%runs {line}` cannot be read: {str(cause).lower()}.", field="line") from None
    found: dict[str, Any] = {}
    waiting = iter(words)
    for word in waiting:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in FILTERS:
            near = difflib.get_close_matches(name, FILTERS, n=1)
            hint = f"Did you mean `--{near[0]}`? " if near else ""
            known = ", ".join(f"--{one}" for one in FILTERS)
            raise InvalidOptionError(f"`{word}` is no option of %runs. {hint}Its options are {known}.", field=name)
        value = value if equals else next(waiting, "--")
        if value.startswith("--"):
            raise InvalidOptionError(f"`--{name}` needs a value, as in `%runs --status failed`.", field=name)
        if name == "limit":
            found[name] = _number(value)
        else:
            found[name] = [*found.get(name, []), *value.split(",")] if name in ("status", "task", "tag") else value
    return found


def _number(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise InvalidOptionError(f"`--limit {value}`: {value!r} is not a whole number.", field="limit") from None


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
