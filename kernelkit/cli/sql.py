"""`kernelkit sql`."""

from __future__ import annotations

import csv
import sys

import click

from kernelkit.authoring.table import from_reply
from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json
from kernelkit.config import Home
from kernelkit.wire.messages import Sql, TableReply


@click.command()
@click.argument("query")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a line of names.")
@click.option("--timeout", default=30.0, show_default=True, type=click.FloatRange(0.001, 3600), help="In seconds.")
@home_option
@json_option
def sql(query: str, as_csv: bool, timeout: float, home: Home, as_json: bool) -> None:
    """Ask the project's history one SELECT; `-` reads it from standard input.

    The views are runs, attempts, events, logs and queues.
    """
    text = sys.stdin.read() if query == "-" else query
    if not text.strip():
        raise click.UsageError("the query is empty; try `kernelkit sql 'select * from runs limit 5'`.")
    with Link(home, timeout=timeout + 30) as link:
        table = from_reply(link.ask(Sql(text, timeout_s=timeout), TableReply))
    if as_json:
        rows = [[str(value) if type(value).__module__ == "decimal" else value for value in row] for row in table.rows]
        print_json({"columns": table.columns, "types": table.types, "rows": rows, "has_more": table.has_more})
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows(table.rows)
    else:
        click.echo(repr(table))
