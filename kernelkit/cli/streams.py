"""`kernelkit streams`: what a run gives away while it works, and what it was sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress

import click

from kernelkit import jsonvalues
from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json, terminal_width
from kernelkit.config import Home
from kernelkit.rules.streams import input_key, output_key
from kernelkit.ui import words
from kernelkit.ui.columns import aligned
from kernelkit.wire.messages import ListStreams, ReadStream, StreamChunks, StreamList

WAIT_S = 20.0  # for one answer, before it is asked for again
_TITLES = ("STREAM", "KIND", "VALUES", "BYTES")


@click.command()
@click.argument("run_id")
@click.argument("name", required=False)
@click.option("--input", "is_input", is_flag=True, help="The input stream of that name.")
@click.option("--start", default=0, type=click.IntRange(0), show_default=True, help="The index of the first value.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what comes, until the run is over.")
@home_option
@json_option
def streams(run_id: str, name: str | None, is_input: bool, start: int, follow: bool, home: Home, as_json: bool) -> None:
    """List the streams of a run, or with NAME print the values of one.

    Texts are printed as they are, one behind the other, so that the tokens of a model read like text; other values as
    JSON, one a line. With --json every value is a line of JSON.
    """
    if name is None:
        if is_input or follow or start:
            raise click.UsageError("--input, --start and --follow are for one stream; add its NAME.")
        with Link(home) as link:
            _list(link.ask(ListStreams(run_id), StreamList), as_json)
        return
    key = input_key(name) if is_input else output_key(name)
    with Link(home) as link, suppress(KeyboardInterrupt):
        _print(_values(link, ReadStream(run_id, key, start), follow), as_json)


def _list(found: StreamList, as_json: bool) -> None:
    shown = [(each.name, "input" if each.is_input else "output", each.count, each.size) for each in found.streams]
    if as_json:
        print_json([dict(zip(("name", "kind", "count", "size"), row, strict=True)) for row in shown])
    elif not shown:
        click.echo("The run has no streams, or they are no longer kept.", err=True)
    else:
        rows = [(words.clean(name), kind, words.number(count), words.number(size)) for name, kind, count, size in shown]
        click.echo("\n".join(aligned([_TITLES, *rows], width=terminal_width(), giving=[(0, 12)])))


def _values(link: Link, asked: ReadStream, follow: bool) -> Iterator[str]:
    """The values as JSON, until there are no more for now, or for ever."""
    at = asked.start
    while True:
        reply = link.ask(ReadStream(asked.run_id, asked.stream, at, WAIT_S if follow else 0.0), StreamChunks)
        yield from reply.chunks
        at += len(reply.chunks)
        if reply.is_over or not (follow or reply.chunks):
            return


def _print(values: Iterator[str], as_json: bool) -> None:
    is_in_line = False
    for text in values:
        value = None if as_json else jsonvalues.decode(text)
        if isinstance(value, str):
            shown = words.clean_block(value)
            click.echo(shown, nl=False)
            is_in_line = not shown.endswith("\n") if shown else is_in_line
            sys.stdout.flush()
        else:
            click.echo(("\n" if is_in_line else "") + text)
            is_in_line = False
    if is_in_line:
        click.echo()
