"""`kernelkit export`."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import click

from kernelkit.cli.filters import filter_options
from kernelkit.cli.link import Link
from kernelkit.cli.options import home_option, json_option
from kernelkit.cli.output import print_json
from kernelkit.config import Home
from kernelkit.ids import make_id
from kernelkit.models.filter import RunFilter
from kernelkit.wire.messages import Export, Exported

SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json"}
WITHIN_S = 3600.0


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@filter_options
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@home_option
@json_option
def export(file: Path | None, asked: RunFilter, force: bool, home: Home, as_json: bool) -> None:
    """Write runs to FILE: Parquet, CSV or JSON lines by its ending.

    All runs, live ones included, or those of the filters, with payloads and outputs; the columns are those of the view
    `runs`. Without FILE it is runs-DATE-TIME.parquet in this folder.
    """
    file = file or Path(f"runs-{datetime.now():%Y%m%d-%H%M%S}.parquet")
    kind = SUFFIXES.get(file.suffix)
    if kind is None:
        raise click.UsageError(f"{file} ends in none of {', '.join(SUFFIXES)}, which say how to write it.")
    if file.exists() and not force:
        raise click.UsageError(f"{file} exists. Give another name, or --force to replace it.")
    if not file.absolute().parent.is_dir():
        raise click.UsageError(f"the folder {file.absolute().parent} does not exist.")
    with Link(home, timeout=WITHIN_S) as link:
        made = link.ask(Export(asked, make_id("export"), kind), Exported)  # type: ignore[arg-type]  # one of the three
        shutil.move(made.path, file)
    if as_json:
        print_json({"file": str(file.absolute()), "runs": made.runs, "bytes": file.stat().st_size})
    else:
        click.echo(f"{file}: {made.runs:,} run{'' if made.runs == 1 else 's'}, {file.stat().st_size / 1e6:,.1f} MB")
