"""The filters of runs as options: the same for `kernelkit runs`, `kernelkit export` and every command on many runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from kernelkit.models.run import RunStatus
from kernelkit.rules.run_filters import FILTERS, read_filter

_STATUSES = [status.value.lower() for status in RunStatus]
_SEVERAL = {
    "task": ("ID", "of this task"),
    "tag": ("TAG", "with this tag"),
    "queue": ("NAME", "in this queue"),
    "batch": ("ID", "of this batch"),
    "schedule": ("ID", "made by this schedule"),
    "machine": ("PRESET", "on this machine preset"),
    "version": ("VERSION", "of this version of their task"),
    "parent": ("RUN", "triggered from inside this run"),
    "root": ("RUN", "this run, and all that came of it"),
}


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """All filters of runs, handed to `command` as `asked`, a `RunFilter`."""

    @functools.wraps(command)
    def with_filter(**options: Any) -> Any:  # whatever the command's own options are
        given = {name: options.pop(name) for name in FILTERS}
        return command(asked=read_filter(given, "this command"), **options)

    wrapped: Callable[..., Any] = with_filter
    for option in reversed(_options()):
        wrapped = option(wrapped)
    return wrapped


def _options() -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--status",
            multiple=True,
            type=click.Choice(_STATUSES, case_sensitive=False),
            metavar="STATUS",
            help="Only runs in this status; may be given again for more.",
        ),
        *[
            click.option(f"--{name}", multiple=True, metavar=kind, help=f"Only runs {which}; may be given again.")
            for name, (kind, which) in _SEVERAL.items()
        ],
        click.option("--is-test/--no-test", "is_test", default=None, help="Only test runs, or none of them."),
        click.option("--created-from", metavar="MOMENT", help="Created then or later, as 2027-01-01T09:00Z."),
        click.option("--created-to", metavar="MOMENT", help="Created before then."),
        click.option("--period", metavar="DURATION", help="Created in the last 30m, 2h, 7d, …"),
        click.option("--search", metavar="TEXT", help="With this text in id, task, tags, error or a small payload."),
    ]
