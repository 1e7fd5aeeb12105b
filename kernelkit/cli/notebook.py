"""`kernelkit notebook run`: a notebook as a job, from the terminal.

What a newcomer would get wrong: the job has an id of its own, `notebook/<name>`, so that running it by hand never
touches a task that somebody has defined of the same notebook, nor its schedule.
"""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

import kernelkit as kk
from kernelkit.authoring.artifacts import Artifacts
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import plain, print_json, terminal_width
from kernelkit.config import Home
from kernelkit.errors import InvalidOptionError
from kernelkit.execution.notebooks.define import id_of
from kernelkit.models.run import Run, RunStatus
from kernelkit.ui import words
from kernelkit.ui.text import run_text, wants_ascii
from kernelkit.ui.view import run_card
from kernelkit.wire.messages import RunChanged


@click.group()
def notebook() -> None:
    """Run notebooks as jobs."""


@notebook.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-p", "--parameter", "given", multiple=True, metavar="NAME=VALUE", help="May be given again.")
@click.option("--kernel", metavar="NAME", help="Instead of the kernel that the notebook names.")
@click.option("--retries", type=click.IntRange(1, 250), default=1, show_default=True, help="How many attempts.")
@click.option("--max-duration", metavar="DURATION", help="How long an attempt may take, such as 30m.")
@click.option("--cell-timeout", metavar="DURATION", help="How long a cell may take.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag the run; may be given again.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Copy notebook and page there.")
@click.option("--no-wait", is_flag=True, help="Print the run's id and return at once.")
@home_option
@json_option
def run(
    path: Path,
    given: tuple[str, ...],
    kernel: str | None,
    retries: int,
    max_duration: str | None,
    cell_timeout: str | None,
    tags: tuple[str, ...],
    output: Path | None,
    no_wait: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Execute the notebook PATH in a worker and wait for its end; exit code 1 unless it completed.

    Values go to the cell tagged `parameters`; a VALUE is JSON if it reads as such and its parameter is no text. The
    executed notebook and a page of it are kept with the run. Ctrl-C cancels the run.

    \b
      kernelkit notebook run reports/daily.ipynb -p region=EU -p days=3 --output out/
    """
    if no_wait and output is not None:
        raise click.UsageError("--output only means something when the run is waited for; leave --no-wait out.")
    job = kk.notebook(
        path,
        id=f"notebook/{id_of(path)}",
        kernel=kernel,
        cell_timeout=cell_timeout,
        retries=retries,
        max_duration=max_duration,
        tags=tags,
    )
    client = kk.Client(home)
    try:
        with client.use():
            handle = job.trigger(**_values(job, given))
            if no_wait:
                print_json({"id": handle.id, "task_id": job.id}) if as_json else click.echo(handle.id)
                return
            ended = _followed(client, handle, quiet=as_json)
            files = handle.artifacts
            if output is not None:
                _copy(files, output)
            _show(ended, files, output, as_json=as_json)
    finally:
        client.close()
    if ended.status is not RunStatus.COMPLETED:
        sys.exit(1)


def _values(job: kk.Task[..., Any], given: tuple[str, ...]) -> dict[str, Any]:
    values = {}
    for word in given:
        name, mark, text = word.partition("=")
        if not mark or not name.isidentifier():
            raise InvalidOptionError(f"-p {word!r} is not NAME=VALUE.", field="parameter")
        field = job.signature.fields.get(name)
        values[name] = text if field is not None and field.annotation is str else _json_or_text(text)
    return values


def _json_or_text(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _followed(client: kk.Client, handle: kk.RunHandle[Any], *, quiet: bool) -> Run:
    """Wait for the end, telling each cell on stderr as it begins."""
    told = ""

    def changed(news: RunChanged) -> None:
        nonlocal told
        cell = str(news.run.metadata.get("cell") or "")
        if cell != told and not quiet:
            told = cell
            click.echo(f"[{words.clean(cell)}]", err=True)

    stop = client.watch(handle.id, changed)
    try:
        handle.result()
    except KeyboardInterrupt:
        handle.cancel("Interrupted at the terminal")
        click.echo(f"{handle.id} is canceled.", err=True)
        sys.exit(130)
    finally:
        stop()
    return handle.refresh()


def _copy(files: Artifacts, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for each in files:
        shutil.copyfile(each.path, folder / each.name)


def _show(run: Run, files: Artifacts, output: Path | None, *, as_json: bool) -> None:
    paths = {each.name: str(output / each.name if output is not None else each.path) for each in files}
    if as_json:
        print_json({**plain(run), "artifacts": paths})
        return
    card = run_card(run, (), now=datetime.now(UTC), zone=words.local_zone())
    click.echo(run_text(card, width=terminal_width(), ascii=wants_ascii()))
    for place in paths.values():
        click.echo(os.path.relpath(place) if output is not None else place)
