"""`kernelkit runs`, `kernelkit cancel` and `kernelkit retry`."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from msgspec import structs

from kernelkit.authoring.artifacts import artifacts_of
from kernelkit.cli.each import for_each
from kernelkit.cli.filters import filter_options
from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import plain, print_json, terminal_width
from kernelkit.config import Home
from kernelkit.ids import make_id
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import LogLine, Run, RunStatus
from kernelkit.rules.limits import check_reason
from kernelkit.rules.run_filters import in_words
from kernelkit.ui import words
from kernelkit.ui.table import runs_table, table_text
from kernelkit.ui.text import run_text, wants_ascii
from kernelkit.ui.view import run_card
from kernelkit.wire.messages import Cancel, GetLogs, ListRuns, LogsReply, Retrieve, RetryNow, RunPage, RunReply


@click.command()
@click.argument("run_id", required=False)
@filter_options
@click.option("--limit", default=25, show_default=True, type=click.IntRange(1, 100), help="How many.")
@click.option("--after", default="", metavar="RUN", help="Only runs older than this one: the next page.")
@click.option("--before", default="", metavar="RUN", help="Only runs newer than this one: the previous page.")
@home_option
@json_option
def runs(run_id: str | None, asked: RunFilter, limit: int, after: str, before: str, home: Home, as_json: bool) -> None:
    """List runs, newest first, or show the one named RUN_ID."""
    if after and before:
        raise click.UsageError("--after and --before are two different pages; give one of them.")
    with Link(home) as link:
        if run_id is not None:
            show_run(link, link.ask(Retrieve(run_id), RunReply).run, as_json=as_json)
            return
        page = link.ask(ListRuns(**structs.asdict(asked), limit=limit, after=after, before=before), RunPage)
    if as_json:
        print_json(
            {
                "runs": plain(page.runs),
                "has_more": page.has_more,
                "has_previous": page.has_previous,
                "total": page.total,
            }
        )
        return
    told = [in_words(asked), f"id before {after}" if after else "", f"id after {before}" if before else ""]
    view = runs_table(
        page.runs,
        total=page.total,
        has_more=page.has_more,
        now=datetime.now(UTC),
        zone=words.local_zone(),
        filters=", ".join(filter(None, told)),
    )
    if page.has_more:
        view = structs.replace(view, more=f"--after {page.runs[-1].id}")
    click.echo(table_text(view, width=terminal_width(), ascii=wants_ascii()))


def show_run(link: Link, run: Run, *, as_json: bool) -> None:
    """One run for programs, or as its text face, with the last lines of its log while it is live."""
    if as_json:
        print_json(run)
        return
    lines: tuple[LogLine, ...] = ()
    if not run.is_completed:
        lines = link.ask(GetLogs(run.id, limit=4), LogsReply).logs.lines
    files = artifacts_of(link.home, run.id) if run.is_completed else ()
    card = run_card(run, lines, files, now=datetime.now(UTC), zone=words.local_zone())
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
    check_reason(reason)

    def ask(link: Link, run_id: str) -> tuple[object, str]:
        run = link.ask(Cancel(run_id, reason=reason), RunReply).run
        return run, f"{run_id}: {_after_cancel(run)}"

    for_each(run_ids, home, ask, as_json=as_json)


def _after_cancel(run: Run) -> str:
    if run.status is RunStatus.CANCELED:
        stopping = run.attempts and run.attempts[-1].status == "EXECUTING"
        return "canceled; its code is being stopped" if stopping else "canceled"
    return f"had already ended: {words.STATUSES[run.status].word.lower()}"


@click.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID…")
@home_option
@json_option
def retry(run_ids: tuple[str, ...], home: Home, as_json: bool) -> None:
    """Have the next attempt of runs that wait for it without the rest of their backoff.

    Exit code 1 when one of them does not wait for another attempt; the others are retried all the same. A run that has
    ended is made anew by `kernelkit replay`.
    """

    def ask(link: Link, run_id: str) -> tuple[object, str]:
        run = link.ask(RetryNow(run_id, make_id("ask")), RunReply).run
        return run, f"{run_id}: its next attempt waits no longer"

    for_each(run_ids, home, ask, as_json=as_json)
