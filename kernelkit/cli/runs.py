"""`kernelkit runs` and `kernelkit cancel`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import plain, print_json, table, terminal_width
from kernelkit.config import Home
from kernelkit.errors import KernelKitError, to_wire
from kernelkit.models.run import LogLine, Run, RunStatus
from kernelkit.ui import words
from kernelkit.ui.text import run_text, sign_of, wants_ascii
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
    elif not page.runs:
        filtered = any((status, task, tag, batch, after))
        click.echo("No runs match." if filtered else "No runs so far. Trigger one with `kernelkit trigger TASK`.")
    else:
        click.echo(_runs_table(page.runs))
        shown = f"{len(page.runs)} of {words.number(page.total)} runs"
        click.echo(shown + (f"; older ones: --after {page.runs[-1].id}" if page.has_more else ""))


def _runs_table(found: tuple[Run, ...]) -> str:
    now, zone, ascii = datetime.now(UTC), words.local_zone(), wants_ascii()
    rows = []
    for run in found:
        shown = words.shown_status(run)
        took = words.ended(run.duration) if run.duration is not None else words.NONE
        status = f"{sign_of(shown, ascii)} {words.STATUSES[shown].word}"
        attempts = f"{run.attempt_number} of {run.max_attempts}"
        created = words.moment(run.created_at, now, zone)
        rows.append([words.cut(run.task_id, 30), status, created, took, attempts, run.id])
    return table(["task", "status", "created", "duration", "attempt", "run"], rows)


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
