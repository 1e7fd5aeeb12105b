"""The program `kernelkit`: a group of commands, each imported when it is called, so that `--help` is quick.

An error that KernelKit explains is printed as its sentence, without a traceback; the exit code is then 1. Wrong usage
is 2, and `status` of an engine that does not run is 3.
"""

from __future__ import annotations

import importlib

import click

from kernelkit.errors import KernelKitError
from kernelkit.version import __version__

# name → (module, one line for `--help`, which so needs no import)
COMMANDS = {
    "up": ("engine", "Start the engine of this project and keep it running."),
    "down": ("engine", "Stop the engine; only an explicit call starts it again."),
    "restart": ("engine", "Stop the engine and start it anew; running attempts go on."),
    "status": ("engine", "Is an engine running, and what is it doing?"),
    "config": ("config", "Show or change the engine's settings of this project."),
    "doctor": ("doctor", "Check home, lock, socket, engine, disk, versions and keepers."),
    "logs": ("logs", "The engine's log, or what a run wrote."),
    "streams": ("streams", "The streams of a run, or the values of one."),
    "tasks": ("tasks", "List the tasks of this project and their versions."),
    "runs": ("runs", "List runs, newest first, or show one."),
    "sql": ("sql", "Ask the project's history one SELECT."),
    "export": ("export", "Write runs to a Parquet, CSV or JSON file."),
    "trigger": ("tasks", "Trigger a run of a task by its id."),
    "tokens": ("tokens", "List what runs wait for from outside, show one, complete one."),
    "queues": ("queues", "Show queues; pause, resume or limit them."),
    "schedules": ("schedules", "Show schedules; create, pause, resume, run or delete them."),
    "service": ("service", "Start the engine with the machine, so that schedules fire after a reboot."),
    "cancel": ("runs", "Cancel runs."),
    "retry": ("runs", "Try runs again now that wait for their next attempt."),
    "replay": ("replay", "Trigger runs again as they were, or with another payload."),
    "serve": ("serve", "Define the tasks and schedules of modules and notebooks, without a kernel."),
    "quickstart": ("quickstart", "Put the first tutorial, a notebook, where you can open it."),
    "notebook": ("notebook", "Run a notebook as a job, with parameters."),
}


class CommandGroup(click.Group):
    """Knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kernelkit.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KernelKitError as error:
            raise click.ClickException(str(error)) from error


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"kernelkit {__version__}")
        ctx.exit()


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Print the version."
)
def main() -> None:
    """Durable background tasks from Jupyter, seen from the terminal.

    Every command works on the project of the current folder; --home names another one.
    """
