"""`kernelkit replay`: a new run with what an earlier one was triggered with."""

from __future__ import annotations

import click

from kernelkit.cli.each import for_each
from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.tasks import read_payload
from kernelkit.config import Home
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

    def ask(link: Link, run_id: str) -> tuple[object, str]:
        item = TriggerItem(make_id("run"), "", value, tags=tags, queue=queue or "")
        run = link.ask(Replay(run_id, item, given), RunReply).run
        return {"id": run.id, "task_id": run.task_id, "replay_of": run_id}, run.id

    for_each(run_ids, home, ask, as_json=as_json)
