"""`kernelkit logs`: the engine's own log, or that of a run.

The engine's is read from its file, so that it can be seen when no engine answers; a run's comes from the engine.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json
from kernelkit.config import Home
from kernelkit.models.run import LogLine, Logs
from kernelkit.ui import words
from kernelkit.wire.messages import GetLogs, LogsReply

LOOK_EVERY_S = 0.2


@click.command()
@click.argument("run_id", required=False)
@click.option(
    "-n", "--lines", "count", default=100, show_default=True, type=click.IntRange(1, 10_000), help="The last so many."
)
@click.option("-f", "--follow", is_flag=True, help="Go on printing what the engine adds, until interrupted.")
@home_option
@json_option
def logs(run_id: str | None, count: int, follow: bool, home: Home, as_json: bool) -> None:
    """Print the engine's log, or with RUN_ID what that run wrote."""
    if run_id is not None:
        if follow:
            raise click.UsageError("--follow is for the engine's log only.")
        with Link(home) as link:
            _print_run_logs(link.ask(GetLogs(run_id, limit=count), LogsReply).logs, as_json)
        return
    tail = Tail(home.engine_log)
    if as_json:
        print_json({"path": home.engine_log, "lines": tail.last(count)})
        return
    if not home.engine_log.exists() and not follow:
        click.echo(f"There is no engine log in {home.path} yet.", err=True)
        sys.exit(1)
    for line in tail.last(count):
        click.echo(line)
    if follow:
        with suppress(KeyboardInterrupt):
            for line in tail.follow():
                click.echo(line)


def _print_run_logs(found: Logs, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if not found.lines:
        click.echo("The run has written nothing, or its log is no longer kept.", err=True)
    for line in found.lines:
        click.echo(_run_line(line))
    if found.dropped:
        click.echo(f"{words.number(found.dropped)} lines in the middle were not kept.", err=True)


def _run_line(line: LogLine) -> str:
    at = line.at.astimezone(words.local_zone()).strftime("%H:%M:%S")
    return f"{at} {line.level:<6} {words.clean(line.text)}"


class Tail:
    """A log file, read from some lines before its end and then on, also when it is rotated away under its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._inode = 0

    def last(self, count: int) -> list[str]:
        """The last `count` lines, none when the file is missing."""
        return list(deque(self._added(), maxlen=count))

    def follow(self) -> Iterator[str]:
        """Lines added since, for ever."""
        while True:
            yield from self._added()
            time.sleep(LOOK_EVERY_S)

    def _added(self) -> Iterator[str]:
        try:
            with self._path.open("rb") as file:
                facts = os.fstat(file.fileno())
                if facts.st_ino != self._inode or facts.st_size < self._position:
                    self._inode, self._position = facts.st_ino, 0
                file.seek(self._position)
                while (line := file.readline()).endswith(b"\n"):
                    self._position = file.tell()
                    yield line.decode(errors="replace").rstrip("\n")
        except FileNotFoundError:
            return
