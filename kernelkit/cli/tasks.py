"""`kernelkit tasks` and `kernelkit trigger`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from kernelkit import jsonvalues
from kernelkit.authoring.debounce import Debounce
from kernelkit.authoring.run_options import run_options
from kernelkit.authoring.triggering import Order
from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import plain, print_json, table
from kernelkit.cli.runs import show_run
from kernelkit.config import Home
from kernelkit.errors import InvalidOptionError, PayloadTooLargeError
from kernelkit.ids import make_id
from kernelkit.models.run import RunStatus
from kernelkit.models.value import MAX_PAYLOAD_BYTES, Value
from kernelkit.wire.messages import (
    ListTasks,
    Retrieve,
    RunReply,
    TaskInfo,
    TaskList,
    Trigger,
    Triggered,
)


@click.command()
@home_option
@json_option
def tasks(home: Home, as_json: bool) -> None:
    """List the tasks of this project and their versions."""
    with Link(home) as link:
        known = sorted(link.ask(ListTasks(), TaskList).tasks, key=lambda task: task.spec.id)
    if as_json:
        print_json([_task_json(task) for task in known])
    elif not known:
        click.echo("No tasks so far. A %%task cell or @kk.task in a notebook or module defines one.")
    else:
        rows = [
            [
                task.spec.id,
                task.version,
                "process" if task.spec.isolation == "process" else "shared",
                task.spec.queue_name,
                str(task.spec.retry.max_attempts),
                task.spec.where or str(task.spec.owner),
            ]
            for task in known
        ]
        click.echo(table(["task", "version", "worker", "queue", "attempts", "defined in"], rows))


def _task_json(task: TaskInfo) -> dict[str, Any]:  # any JSON object
    spec = task.spec
    schema = msgspec.json.decode(spec.json_schema) if spec.json_schema else None
    return {
        "id": spec.id,
        "version": task.version,
        "versions": list(task.versions),
        "description": spec.description,
        "where": spec.where,
        "owner": str(spec.owner),
        "isolation": spec.isolation,
        "queue": spec.queue_name,
        "concurrency_limit": spec.concurrency_limit,
        "retry": plain(spec.retry),
        "tags": list(spec.tags),
        "json_schema": schema,
    }


@click.command()
@click.argument("task_id")
@click.argument("payload", nargs=-1, metavar="[JSON | NAME=VALUE…]")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag the run; may be given again.")
@click.option("--max-attempts", type=click.IntRange(1, 250), help="Instead of the task's own number.")
@click.option("--metadata", default="{}", metavar="JSON", help="An object kept with the run.")
@click.option("--queue", metavar="NAME", help="Instead of the task's own queue.")
@click.option("--concurrency-key", metavar="KEY", help="A copy of the queue, with a limit of its own.")
@click.option("--priority", type=float, metavar="SECONDS", help="Go ahead of runs triggered so many seconds before.")
@click.option("--delay", metavar="DURATION|MOMENT", help="Start later: 10m, or 2027-01-01T00:00:00Z.")
@click.option("--ttl", metavar="DURATION", help="Expire unless started by then; 0 for never.")
@click.option("--max-duration", metavar="DURATION", help="How long an attempt may take; `none` for any.")
@click.option("--machine", metavar="PRESET", help="Memory cap and vCPUs, such as small-1x or large-1x.")
@click.option("--test", is_flag=True, default=None, help="Mark the run as a test.")
@click.option("--allow-undefined", is_flag=True, default=None, help="Wait for a task that is not defined yet.")
@click.option("--idempotency-key", metavar="KEY", help="The same key again gives the same run.")
@click.option("--idempotency-key-ttl", metavar="DURATION", help="For how long; 30 days unless said.")
@click.option(
    "--debounce",
    metavar="JSON",
    help='Merge triggers of one key: {"key": "user-1", "delay": "5s"}, see kk.Debounce.',
)
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 1 unless the run completed.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="With --wait: how long at most.")
@home_option
@json_option
def trigger(
    task_id: str,
    payload: tuple[str, ...],
    tags: tuple[str, ...],
    max_attempts: int | None,
    metadata: str,
    debounce: str | None,
    wait: bool,
    timeout: float | None,
    home: Home,
    as_json: bool,
    **options: Any,  # as `run_options` takes them
) -> None:
    """Trigger a run of the task TASK_ID.

    The payload is one JSON value (- reads it from standard input), or fields as NAME=VALUE, where VALUE is JSON if it
    reads as such, else text; nothing at all is null:

    \b
      kernelkit trigger resize url=https://example.org/a.png width=256
      kernelkit trigger resize '{"url": "https://example.org/a.png"}'
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout only means something with --wait.")
    text = read_payload(payload)
    meta = _json(metadata, "--metadata")
    if not isinstance(meta, dict):
        raise InvalidOptionError(f"--metadata={metadata} is not a JSON object, which begins with a brace.")
    checked = run_options(
        tags=tags or None,
        max_attempts=max_attempts,
        metadata=meta or None,
        debounce=None if debounce is None else _debounce(debounce),
        **{k: v for k, v in options.items() if v is not None},
    )
    item = Order(task_id, Value(text=text, size=len(text.encode())), checked, None).item(make_id("run"))
    with Link(home) as link:
        (run_id,) = link.ask(Trigger((item,)), Triggered).run_ids
        if not wait:
            if as_json:
                print_json({"id": run_id, "task_id": task_id})
            else:
                click.echo(run_id)
            return
        if not link.wait_for(run_id, timeout):
            click.echo(
                f"{run_id} has not ended after {timeout:g} s; it goes on. Look: kernelkit runs {run_id}", err=True
            )
            sys.exit(1)
        run = link.ask(Retrieve(run_id), RunReply).run
        show_run(link, run, as_json=as_json)
    if run.status is not RunStatus.COMPLETED:
        sys.exit(1)


def read_payload(words: Sequence[str]) -> str:
    """JSON text of what stands on the command line.

    >>> read_payload(["url=a.png", "width=256", "crop=[1,2]"])
    '{"url":"a.png","width":256,"crop":[1,2]}'
    >>> read_payload(["[1, 2]"]), read_payload([])
    ('[1,2]', 'null')
    """
    if not words:
        value: object = None
    elif len(words) == 1 and not _is_field(words[0]):
        value = _json(sys.stdin.read() if words[0] == "-" else words[0], "the payload")
    else:
        value = dict(_field(word) for word in words)
    text = jsonvalues.encode(value, what="the payload")
    size = len(text.encode())
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLargeError(
            f"the payload has {size:,} bytes of JSON; at most {MAX_PAYLOAD_BYTES:,} are kept. "
            "Write the data to a file and pass its path.",
            size_bytes=size,
        )
    return text


def _is_field(word: str) -> bool:
    return word.partition("=")[0].isidentifier() and "=" in word


def _field(word: str) -> tuple[str, object]:
    name, mark, text = word.partition("=")
    if not mark or not name.isidentifier():
        raise InvalidOptionError(f"{word!r} is not NAME=VALUE. Give fields, or one JSON value in quotes.")
    try:
        return name, msgspec.json.decode(text)
    except msgspec.DecodeError:
        return name, text


def _debounce(text: str) -> Debounce:
    """What `--debounce` says; refused as `kk.Debounce` refuses it.

    >>> _debounce('{"key": "user-1", "delay": "5s", "mode": "trailing"}')
    Debounce('user-1', delay=5.0, mode='trailing')
    """
    given = _json(text, "--debounce")
    if not isinstance(given, dict) or not {"key", "delay"} <= given.keys():
        raise InvalidOptionError(f'--debounce={text} is not JSON such as {{"key": "user-1", "delay": "5s"}}.')
    return Debounce(**given)


def _json(text: str, what: str) -> object:
    try:
        value: object = msgspec.json.decode(text)
    except msgspec.DecodeError as cause:
        raise InvalidOptionError(f"{what} is not JSON: {cause}. Quote it as one word, or give NAME=VALUE.") from cause
    return value
