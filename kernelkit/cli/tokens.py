"""`kernelkit tokens`: look at what runs wait for, and complete it from a terminal or a script."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
from click.core import ParameterSource

from kernelkit import jsonvalues
from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json, terminal_width
from kernelkit.cli.tasks import read_payload
from kernelkit.clock import to_datetime
from kernelkit.config import Home
from kernelkit.ids import make_id
from kernelkit.models.value import Value
from kernelkit.models.wait import Token
from kernelkit.ui import words
from kernelkit.ui.tokens import token_row, token_text, tokens_table, tokens_text
from kernelkit.wire.messages import CompleteToken, ListTokens, RetrieveToken, TokenPage, TokenReply


@click.group(invoke_without_command=True)
@home_option
@json_option
@click.pass_context
def tokens(ctx: click.Context, home: Home, as_json: bool) -> None:
    """List tokens; with a subcommand show one, or complete one, which lets the runs go on that wait for it."""
    if ctx.invoked_subcommand is None:
        _list(home, ListTokens(), as_json)
    elif ctx.get_parameter_source("home") is ParameterSource.COMMANDLINE:
        raise click.UsageError(f"Write --home behind the word {ctx.invoked_subcommand}.")


@tokens.command("list")
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(["WAITING", "COMPLETED", "TIMED_OUT"], case_sensitive=False),
    help="Only those; may be given again.",
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only those with a tag of these.")
@click.option("--limit", default=25, type=click.IntRange(1, 100), show_default=True)
@click.option("--after", default="", metavar="TOKEN", help="Only those older than this one: the next page.")
@json_option
@home_option
def list_(home: Home, status: tuple[Any, ...], tags: tuple[str, ...], limit: int, after: str, as_json: bool) -> None:
    """Show tokens, newest first."""
    _list(home, ListTokens(status=status, tag=tags, limit=limit, after=after), as_json)


def _list(home: Home, asked: ListTokens, as_json: bool) -> None:
    with Link(home) as link:
        page = link.ask(asked, TokenPage)
    if as_json:
        print_json([token_json(token) for token in page.tokens])
        return
    table = tokens_table(
        page.tokens, now=datetime.now(UTC), zone=words.local_zone(), total=page.total, has_more=page.has_more
    )
    click.echo(tokens_text(table, width=terminal_width()))


@tokens.command()
@click.argument("token")
@json_option
@home_option
def show(home: Home, token: str, as_json: bool) -> None:
    """Show one token by its id or name."""
    with Link(home) as link:
        _print(link.ask(RetrieveToken(token), TokenReply).token, as_json)


@tokens.command()
@click.argument("token")
@click.argument("data", nargs=-1, metavar="[JSON | NAME=VALUE…]")
@json_option
@home_option
def complete(home: Home, token: str, data: tuple[str, ...], as_json: bool) -> None:
    """Complete a token by its id or name: kernelkit tokens complete deploy approved=true

    What follows is JSON, or the fields of an object; - reads JSON from standard input; nothing is null. The first
    completion counts: of a token that has ended the command shows what it ended with, and changes nothing. What does
    not fit a token's schema is refused, and the token stays open; kernelkit tokens show tells the fields.
    """
    text = read_payload(data)
    value = Value(text=text, size=len(text.encode()))
    with Link(home) as link:
        _print(
            link.ask(CompleteToken(token, value, new_id=make_id("waitpoint"), by="a terminal"), TokenReply).token,
            as_json,
        )


def _print(token: Token, as_json: bool) -> None:
    if as_json:
        print_json(token_json(token))
    else:
        click.echo(token_text(token_row(token, now=datetime.now(UTC), zone=words.local_zone()), width=terminal_width()))


def token_json(token: Token) -> dict[str, Any]:  # any JSON object
    """All that a program may want to know: moments as text, `output` null until it is completed."""
    text = None if token.value is None else token.value.text
    return {
        "id": token.id,
        "status": token.status,
        "name": token.name or None,
        "tags": list(token.tags),
        "idempotency_key": token.key or None,
        "created_at": _moment(token.created_at),
        "timeout_at": _moment(token.timeout_at),
        "completed_at": _moment(token.completed_at),
        "question": token.question or None,
        "context": jsonvalues.decode(token.context or "null"),
        "schema": jsonvalues.decode(token.schema or "null"),
        "completed_by": token.completed_by or None,
        "output": None if text is None else jsonvalues.decode(text),
    }


def _moment(micros: int) -> str | None:
    return to_datetime(micros).isoformat() if micros else None
