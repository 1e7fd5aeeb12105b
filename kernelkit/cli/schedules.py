"""`kernelkit schedules`: look at the schedules of a project, make them, turn them on and off."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
from click.core import ParameterSource

from kernelkit.authoring.timing import timing_of
from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import plain, print_json, terminal_width
from kernelkit.clock import to_datetime
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError
from kernelkit.ids import make_id
from kernelkit.models.schedule import Schedule
from kernelkit.rules.cron_words import in_words
from kernelkit.ui import words
from kernelkit.ui.schedules import schedules_table, schedules_text
from kernelkit.wire.messages import (
    DeleteSchedule,
    Done,
    GetSchedule,
    ListSchedules,
    RunSchedule,
    SaveSchedule,
    ScheduleList,
    ScheduleReply,
    SwitchSchedule,
    Triggered,
)

ASLEEP = "No engine was running, so nothing has fired; this command has started one, which makes up for what came."
AFTER_BOOT = (
    "After a restart of this machine nothing fires until an engine runs; `kernelkit service install` starts it."
)
AFTER_LOGIN = "After a restart of this machine nothing fires until you log in: see `kernelkit service status`."


@click.group(invoke_without_command=True)
@home_option
@json_option
@click.option("--task", default="", metavar="ID", help="Only those of this task.")
@click.pass_context
def schedules(ctx: click.Context, home: Home, as_json: bool, task: str) -> None:
    """Show the schedules of this project; with a subcommand, make or change them."""
    if ctx.invoked_subcommand is None:
        _show(home, as_json, task)
    elif ctx.get_parameter_source("home") is ParameterSource.COMMANDLINE:
        raise click.UsageError(f"Write --home behind the word {ctx.invoked_subcommand}.")


@schedules.command("list")
@click.option("--task", default="", metavar="ID", help="Only those of this task.")
@json_option
@home_option
def list_(home: Home, task: str, as_json: bool) -> None:
    """Show schedules: which task starts when, next and last, and what was missed."""
    _show(home, as_json, task)


def _show(home: Home, as_json: bool, task: str) -> None:
    note = _state_of_engine(home)
    with Link(home) as link:
        found = link.ask(ListSchedules(task), ScheduleList).schedules
    if as_json:
        print_json([schedule_json(schedule) for schedule in found])
        return
    now = datetime.now(UTC)
    table = schedules_table(found, now=now, zone=words.local_zone(), note=note if found else "")
    click.echo(schedules_text(table, width=terminal_width()))


def _state_of_engine(home: Home) -> str:
    """What a person must know of whether anything fires."""
    from kernelkit.cli.unit import is_installed, is_lingering

    after = AFTER_BOOT
    if is_installed(home):
        after = "" if is_lingering() else AFTER_LOGIN
    try:
        with Link(home, start=False):
            return after
    except EngineUnavailableError:
        return f"{ASLEEP}\n{after}".rstrip()


def schedule_json(schedule: Schedule) -> dict[str, Any]:  # any JSON object
    """All fields, moments as text."""
    fields: dict[str, Any] = plain(schedule)
    timing = fields.pop("timing")
    for name in ("created_at", "changed_at", "next_at", "passed", "last_slot"):
        fields[name] = to_datetime(fields[name]).isoformat() if fields[name] else None
    for missed in fields["missed"]:
        missed |= {name: to_datetime(missed[name]).isoformat() for name in ("first", "last")}
    return {"id": fields.pop("id"), **timing, "description": in_words(schedule.timing.cron), **fields}


@schedules.command()
@click.argument("task")
@click.argument("cron")
@click.option("--key", required=True, metavar="TEXT", help="Deduplication key: the same again changes that schedule.")
@click.option("--timezone", default="UTC", metavar="ZONE", help="IANA name; UTC if not given.")
@click.option("--external-id", default="", metavar="TEXT", help="Given to the runs as it is.")
@click.option("--catch-up", default="latest", type=click.Choice(["latest", "skip", "all"]))
@click.option("--max-catch-up", default=100, type=click.IntRange(1, 1_000))
@click.option("--overlap", default="queue", type=click.Choice(["queue", "skip"]))
@json_option
@home_option
def create(
    home: Home,
    task: str,
    cron: str,
    key: str,
    timezone: str,
    external_id: str,
    as_json: bool,
    **policies: Any,
) -> None:
    """Make a schedule: kernelkit schedules create report "0 9 * * 1-5" --key daily --timezone Europe/Berlin"""
    timing = timing_of({"cron": cron, "timezone": timezone, **policies})
    assert timing is not None, "there is a cron"
    with Link(home) as link:
        body = SaveSchedule(make_id("sched"), task, timing, external_id, key)
        _say(link.ask(body, ScheduleReply).schedule, as_json)


@schedules.command()
@click.argument("schedule_id")
@json_option
@home_option
def show(home: Home, schedule_id: str, as_json: bool) -> None:
    """One schedule."""
    with Link(home) as link:
        _say(link.ask(GetSchedule(schedule_id), ScheduleReply).schedule, as_json)


@schedules.command()
@click.argument("schedule_id")
@json_option
@home_option
def pause(home: Home, schedule_id: str, as_json: bool) -> None:
    """Turn a schedule off."""
    with Link(home) as link:
        _say(link.ask(SwitchSchedule(schedule_id, False), ScheduleReply).schedule, as_json)


@schedules.command()
@click.argument("schedule_id")
@json_option
@home_option
def resume(home: Home, schedule_id: str, as_json: bool) -> None:
    """Turn a schedule on, from its next slot on."""
    with Link(home) as link:
        _say(link.ask(SwitchSchedule(schedule_id, True), ScheduleReply).schedule, as_json)


@schedules.command()
@click.argument("schedule_id")
@json_option
@home_option
def delete(home: Home, schedule_id: str, as_json: bool) -> None:
    """Remove a schedule."""
    with Link(home) as link:
        link.ask(DeleteSchedule(schedule_id), Done)
    if as_json:
        print_json({"deleted": schedule_id})
    else:
        click.echo(f"Deleted {schedule_id}.")


@schedules.command()
@click.argument("schedule_id")
@json_option
@home_option
def run(home: Home, schedule_id: str, as_json: bool) -> None:
    """Make a run now, besides its slots."""
    with Link(home) as link:
        run_id = link.ask(RunSchedule(schedule_id, make_id("run")), Triggered).run_ids[0]
    if as_json:
        print_json({"run_id": run_id})
    else:
        click.echo(run_id)


def _say(schedule: Schedule, as_json: bool) -> None:
    if as_json:
        print_json(schedule_json(schedule))
        return
    table = schedules_table([schedule], now=datetime.now(UTC), zone=words.local_zone())
    click.echo(schedules_text(table, width=terminal_width()).rpartition("\n")[0])
