"""`kernelkit queues`: look at the queues of a project, pause them, and change how much of them runs at once."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from click.core import ParameterSource

from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json, terminal_width
from kernelkit.config import Home
from kernelkit.models.queue import QueueInfo
from kernelkit.ui.queues import queues_table, queues_text
from kernelkit.ui.text import wants_ascii
from kernelkit.ui.words import local_zone
from kernelkit.wire.messages import ListQueues, OverrideQueue, PauseQueue, QueueList, QueueReply, RequestBody


@click.group(invoke_without_command=True)
@home_option
@json_option
@click.pass_context
def queues(ctx: click.Context, home: Home, as_json: bool) -> None:
    """Show the queues of this project; with a subcommand, pause or change one."""
    if ctx.invoked_subcommand is None:
        _show(home, as_json, ListQueues())
    elif ctx.get_parameter_source("home") is ParameterSource.COMMANDLINE:
        raise click.UsageError(f"Write --home behind the word {ctx.invoked_subcommand}.")


@queues.command("list")
@json_option
@home_option
def list_(home: Home, as_json: bool) -> None:
    """Show the queues: slots in use, runs in line, rates, keys."""
    _show(home, as_json, ListQueues())


@queues.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="The whole project.")
@json_option
@home_option
def pause(home: Home, name: str | None, everything: bool, as_json: bool) -> None:
    """Start no run of the queue NAME until it is resumed."""
    _switch(home, name, everything, as_json, paused=True)


@queues.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="The whole project.")
@json_option
@home_option
def resume(home: Home, name: str | None, everything: bool, as_json: bool) -> None:
    """Start runs of the queue NAME again."""
    _switch(home, name, everything, as_json, paused=False)


@queues.command("set")
@click.argument("name")
@click.argument("limit", type=click.IntRange(0))
@json_option
@home_option
def set_(home: Home, name: str, limit: int, as_json: bool) -> None:
    """Have LIMIT runs of the queue NAME execute at once, whatever its definition says."""
    _tell(home, OverrideQueue(name, limit), as_json)


@queues.command()
@click.argument("name")
@json_option
@home_option
def reset(home: Home, name: str, as_json: bool) -> None:
    """Have the limit of the definition of the queue NAME hold again."""
    _tell(home, OverrideQueue(name, None), as_json)


def _switch(home: Home, name: str | None, everything: bool, as_json: bool, *, paused: bool) -> None:
    if bool(name) == everything:
        raise click.UsageError("Give the name of a queue, or --all for the whole project.")
    if everything:
        _show(home, as_json, PauseQueue("", paused=paused))
    else:
        _tell(home, PauseQueue(name or "", paused=paused), as_json)


def _tell(home: Home, request: RequestBody, as_json: bool) -> None:
    with Link(home) as link:
        reply = link.ask(request, QueueReply)
    _print((reply.queue,), False, as_json)


def _show(home: Home, as_json: bool, request: RequestBody) -> None:
    with Link(home) as link:
        reply = link.ask(request, QueueList)
    _print(reply.queues, reply.paused, as_json)


def _print(found: tuple[QueueInfo, ...], paused: bool, as_json: bool) -> None:
    if as_json:
        print_json({"paused": paused, "queues": found})
    else:
        view = queues_table(found, paused=paused, now=datetime.now(UTC), zone=local_zone())
        click.echo(queues_text(view, width=terminal_width(), ascii=wants_ascii()))
