"""`kernelkit runs` and `kernelkit cancel`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click
import msgspec

from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import plain, print_json, terminal_width
from kernelkit.config import Home
from kernelkit.errors import KernelKitError, to_wire
from kernelkit.models.run import LogLine, Run, RunStatus
from kernelkit.ui import words
from kernelkit.ui.table import runs_table, table_text
from kernelkit.ui.text import run_text, wants_ascii
from kernelkit.ui.view import run_card
from kernelkit.wire.messages import Cancel, GetLogs, ListRuns, LogsReply, Retrieve, RunPage, RunReply

STATUSES = [status.value.lower() for status in RunStatus]


@click.command()
@click.argument("run_id", required=False)
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(STATUSES, case_sensitive=False),
    metavar="STATUS",
    help="Only runs in this status; may be given again for more.",
)
@click.option("--task", multiple=True, metavar="ID", help="Only runs of this task; may be given again.")
@click.option("--tag", multiple=True, metavar="TAG", help="Only runs with this tag; may be given again.")
@click.option("--batch", default="", metavar="ID", help="Only runs of this batch.")
@click.option("--limit", default=25, show_default=True, type=click.IntRange(1, 100), help="How many.")
@click.option("--after", default="", metavar="RUN", help="Only runs older than this one: the next page.")
@home_option
@json_option
def runs(
    run_id: str | None,
    status: tuple[str, ...],
    task: tuple[str, ...],
    tag: tuple[str, ...],
    batch: str,
    limit: int,
    after: str,
    home: Home,
    as_json: bool,
) -> None:
    """List runs, newest first, or show the one named RUN_ID."""
    with Link(home) as link:
        if run_id is not None:
            show_run(link, link.ask(Retrieve(run_id), RunReply).run, as_json=as_json)
            return
        wanted = tuple(name.upper() for name in status)
        page = link.ask(ListRuns(status=wanted, task=task, tag=tag, batch=batch, limit=limit, after=after), RunPage)
    if as_json:
        print_json({"runs": plain(page.runs), "has_more": page.has_more, "total": page.total})
        return
    asked = [f"status {' or '.join(wanted)}"] if wanted else []
    asked += [f"{name} {' or '.join(values)}" for name, values in (("task", task), ("tag", tag)) if values]
    asked += [f"{name} {value}" for name, value in (("batch", batch), ("id before", after)) if value]
    view = runs_table(
        page.runs,
        total=page.total,
        has_more=page.has_more,
        now=datetime.now(UTC),
        zone=words.local_zone(),
        filters=", ".join(asked),
    )
    if page.has_more:
        view = msgspec.structs.replace(view, more=f"--after {page.runs[-1].id}")
    click.echo(table_text(view, width=terminal_width(), ascii=wants_ascii()))


def show_run(link: Link, run: Run, *, as_json: bool) -> None:
    """One run for programs, or as its text face, with the last lines of its log while it is live."""
    if as_json:
        print_json(run)
        return
    lines: tuple[LogLine, ...] = ()
    if not run.is_completed:
        lines = link.ask(GetLogs(run.id, limit=4), LogsReply).logs.lines
    card = run_card(run, lines, now=datetime.now(UTC), zone=words.local_zone())
    click.echo(run_text(card, width=terminal_width(), ascii=wants_ascii()))


@click.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID…")
@click.option("--reason", default="Canceled by user", show_default=True, help="Kept with the run.")
@home_option
@json_option
def cancel(run_ids: tuple[str, ...], reason: str, home: Home, as_json: bool) -> None:
    """Cancel runs. One that has ended stays as it is.

    Exit code 1 when one of them is not known; the others are canceled all the same.
    """
    answers: list[object] = []
    refused = False
    with Link(home) as link:
        for run_id in run_ids:
            try:
                run = link.ask(Cancel(run_id, reason=reason), RunReply).run
            except KernelKitError as error:
                refused = True
                answers.append({"id": run_id, "error": to_wire(error)})
                if not as_json:
                    click.echo(f"{run_id}: {error}", err=True)
                continue
            answers.append(run)
            if not as_json:
                click.echo(f"{run_id}: {_after_cancel(run)}")
    if as_json:
        print_json(answers)
    if refused:
        sys.exit(1)


def _after_cancel(run: Run) -> str:
    if run.status is RunStatus.CANCELED:
        stopping = run.attempts and run.attempts[-1].status == "EXECUTING"
        return "canceled; its code is being stopped" if stopping else "canceled"
    return f"had already ended: {words.STATUSES[run.status].word.lower()}"
