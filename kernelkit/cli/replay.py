"""`kernelkit replay`: a new run with what an earlier one was triggered with."""

from __future__ import annotations

import sys

import click

from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json
from kernelkit.cli.tasks import read_payload
from kernelkit.config import Home
from kernelkit.errors import KernelKitError, to_wire
from kernelkit.ids import make_id
from kernelkit.models.value import NULL, Value
from kernelkit.wire.messages import Replay, RunReply, TriggerItem


@click.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID…")
@click.option("--payload", metavar="JSON", help="Instead of the run's own; - reads it from standard input.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Instead of the run's own tags; may be given again.")
@click.option("--queue", metavar="NAME", help="Instead of the run's own queue.")
@home_option
@json_option
def replay(
    run_ids: tuple[str, ...], payload: str | None, tags: tuple[str, ...], queue: str | None, home: Home, as_json: bool
) -> None:
    """Trigger runs again, whatever became of them; prints the new ids.

    Payload, tags, metadata, concurrency key, machine and queue are copied; the task's latest code runs.
    Exit code 1 when one of them is not known; the others are replayed all the same.
    """
    text = None if payload is None else read_payload([payload])
    value = NULL if text is None else Value(text=text, size=len(text.encode()))
    given = tuple(name for name, over in (("payload", payload), ("tags", tags), ("queue", queue)) if over)
    answers: list[object] = []
    refused = False
    with Link(home) as link:
        for run_id in run_ids:
            item = TriggerItem(make_id("run"), "", value, tags=tags, queue=queue or "")
            try:
                run = link.ask(Replay(run_id, item, given), RunReply).run
            except KernelKitError as error:
                refused = True
                answers.append({"id": run_id, "error": to_wire(error)})
                if not as_json:
                    click.echo(f"{run_id}: {error}", err=True)
                continue
            answers.append({"id": run.id, "task_id": run.task_id, "replay_of": run_id})
            if not as_json:
                click.echo(run.id)
    if as_json:
        print_json(answers)
    if refused:
        sys.exit(1)
