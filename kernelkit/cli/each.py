"""One request for each of several runs: one that is refused does not keep the others from theirs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from kernelkit.cli.link import Link
from kernelkit.cli.output import print_json
from kernelkit.config import Home
from kernelkit.errors import KernelKitError, to_wire


def for_each(
    run_ids: Sequence[str], home: Home, ask: Callable[[Link, str], tuple[object, str]], *, as_json: bool
) -> None:
    """Print what `ask` gives for each run, the answer for programs or the line for people; ends the program with exit
    code 1 when one was refused."""
    answers: list[object] = []
    refused = False
    with Link(home) as link:
        for run_id in run_ids:
            try:
                answer, line = ask(link, run_id)
            except KernelKitError as error:
                refused = True
                answers.append({"id": run_id, "error": to_wire(error)})
                if not as_json:
                    click.echo(f"{run_id}: {error}", err=True)
                continue
            answers.append(answer)
            if not as_json:
                click.echo(line)
    if as_json:
        print_json(answers)
    if refused:
        sys.exit(1)
