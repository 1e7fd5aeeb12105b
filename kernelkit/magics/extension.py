"""The IPython extension: `%load_ext kernelkit` brings `%%task`, `%runs` and `%engine`, and attaches to the engine.

What hangs on the notebook hangs on the magics object of its shell, so that loading twice doubles nothing. Names under
`kk` are bound as `kk` unless the notebook has another `kk` already, because bodies of tasks use them.
"""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

import kernelkit
from kernelkit.authoring import caller as callers
from kernelkit.authoring import notebook
from kernelkit.authoring.cells import task_from_cell
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.queues import Queues
from kernelkit.authoring.schedules import Schedules
from kernelkit.authoring.task import Task, on_definition
from kernelkit.client.client import Client
from kernelkit.client.default import engine as default_engine
from kernelkit.client.engine import EngineControl
from kernelkit.errors import EngineUnavailableError, InvalidOptionError, KernelKitError
from kernelkit.magics import completing, engine, runs, sql, tracebacks, triggering
from kernelkit.magics.above import comments_below
from kernelkit.magics.shown import in_words, publish, publish_object
from kernelkit.ui import bundles, display, hosts, pictures
from kernelkit.ui.schedules import WOKEN
from kernelkit.wire.discovery import is_locked

_UNBOUND = object()


def load(shell: Any, control: EngineControl = default_engine) -> None:
    """Bring the magics into `shell` and attach to this project's engine, starting it if needed.

    Says nothing when all is well. Without an engine the magics work all the same, and one line says what to do.
    """
    unload(shell)
    magics = KernelKitMagics(shell, control)
    shell.register_magics(magics)
    shell.kernelkit_magics = magics
    shell.input_transformers_cleanup.insert(0, comments_below)
    display.install(shell)
    tracebacks.install(shell)
    if "kk" not in shell.user_ns:
        shell.push({"kk": kernelkit}, interactive=False)
    try:
        caller = callers.current()
        if isinstance(caller, Client):  # else inside a test engine, which is always there
            caller.connect()
    except KernelKitError as problem:
        publish(f"KernelKit is loaded, but not attached to an engine. {problem}")


def unload(shell: Any) -> None:
    """Take away what `load` brought, except for the display of runs and tasks; does nothing when not loaded."""
    magics = getattr(shell, "kernelkit_magics", None)
    if magics is None:
        return
    magics.close()
    tracebacks.uninstall(shell)
    del shell.kernelkit_magics
    for kind, names in KernelKitMagics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    while comments_below in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(comments_below)


@magics_class
class KernelKitMagics(Magics):
    """`%%task`, `%runs` and `%engine` of one shell."""

    shell: Any  # an InteractiveShell, never None here

    def __init__(self, shell: Any, control: EngineControl) -> None:
        super().__init__(shell)
        self._engine = control
        self._stop_listening = on_definition(_register_at_once)
        self._stop_completing = completing.install(shell)

    def close(self) -> None:
        """Stop registering the tasks that decorators make, and completing what is typed."""
        self._stop_listening()
        self._stop_completing()

    @no_var_expand
    @cell_magic
    def task(self, line: str, cell: str) -> None:
        """Define a task: a signature and options on this line, the body in the cell; or options over one function.

        %%task resize(url: str, width: int = 512) --queue images --retries 5
        image = await download(url)
        return {"url": url, "width": width}

        Options: --id, --description, --queue, --concurrency-limit, --rate-limit 100/m, --retries, --machine large-1x,
        --max-duration 30m, --ttl 1h, --tags a,b, --cron "0 9 * * *", --timezone, --catch-up, --max-catch-up, --overlap,
        --isolation process|shared, --log-level, --replace. A body that awaits makes an async task, any other a plain
        one in a process of its own. `ctx` is the run's context. The task is bound under the function's name:
        `resize.trigger(url="…")`.
        """
        names: dict[str, Any] = self.shell.user_ns
        before = dict(names)
        with in_words():
            compiled = task_from_cell(
                line, cell, namespace=names, number=notebook.running_cell(), flags=self.shell.compile.flags
            )
            name = compiled.function.__name__
            try:
                made: Task[..., Any] = Task(compiled.function, compiled.options)
                names[name] = made  # before it is shipped: a body may trigger its own task
                problem = _register(made)
            except KernelKitError:
                _restore(names, name, before.get(name, _UNBOUND))
                raise
        self.shell.push({name: made})
        publish("\n".join([_headline(made), *(f"  {line}" for line in [*_remarks(made), *problem])]))

    @no_var_expand
    @line_magic
    def runs(self, line: str) -> None:
        """Show the project's runs, newest first: %runs [--status failed] [--task resize] [--tag x] [--limit 25]"""
        with in_words():
            publish_object(runs.page(line))

    @no_var_expand
    @cell_magic
    def kksql(self, line: str, cell: str) -> None:
        """Ask the project's history one SELECT: %%kksql shows the answer, %%kksql name << keeps it under that name.

        %%kksql
        select task_id, status, count(*) as n from runs group by all order by n desc

        The views are runs, attempts, events, logs, queues and schedules; the answer is a `kk.Table` (`.df()`, `.rows`).
        """
        with in_words():
            name, table = sql.ask(line, cell)
        if name:
            self.shell.push({name: table})
        else:
            publish(bundles.table_bundle(table))

    @no_var_expand
    @line_magic
    def trigger(self, line: str) -> RunHandle[Any]:
        """Trigger a task: %trigger resize url=https://… width=256 --delay 10m

        Fields are `name=value`, read as the payload's schema says: `256` is a number where it asks for one, `a,b` a
        list, `$name` the value of a variable; JSON stands in single quotes. A word without a name is the whole payload.
        Options: --delay, --tags a,b, --queue, --concurrency-key, --idempotency-key, --priority, --ttl, --max-attempts,
        --max-duration, --machine, --metadata, --test and the others of `task.options`. Gives the handle:
        `run = %trigger resize url=…`.
        """
        with in_words():
            return triggering.trigger(line, self.shell.user_ns)

    @no_var_expand
    @line_magic
    def run_tree(self, line: str) -> None:
        """Show a run and all that came of it: %run_tree RUN_ID, or the name of a handle"""
        with in_words():
            publish_object(runs.tree(line, self.shell.user_ns))

    @no_var_expand
    @line_magic
    def timeline(self, line: str) -> None:
        """Show when a run was queued, executed, waited and backed off: %timeline RUN_ID [--tree], or a handle's name"""
        with in_words():
            publish_object(runs.timeline(line, self.shell.user_ns))

    @no_var_expand
    @line_magic
    def queues(self, line: str) -> None:
        """Show the project's queues: what runs, what waits, and what was set by hand"""
        with in_words():
            if line.strip():
                raise InvalidOptionError("%queues takes nothing; kk.queues has what changes them.", field="line")
            publish_object(Queues())

    @no_var_expand
    @line_magic
    def schedules(self, line: str) -> None:
        """Show the project's schedules: %schedules, or %schedules TASK for those of one task"""
        with in_words():
            caller = callers.current()
            was_asleep = isinstance(caller, Client) and not is_locked(caller.home)
            try:
                found = Schedules().list(task=line.strip() or None)
            except EngineUnavailableError as problem:
                raise EngineUnavailableError(f"No engine runs, so no schedule fires. {problem}") from None
            note = WOKEN if was_asleep and found else ""
            if hosts.is_looked_at(self.shell):
                pictures.show_schedules(Schedules(), line.strip(), note)
            else:
                publish(bundles.schedules_bundle(found, note))

    @no_var_expand
    @line_magic
    def engine(self, line: str) -> None:
        """Look at the project's engine, or change it: %engine [status|start|stop|restart|logs]"""
        with in_words():
            if line.strip() in ("", "status") and hosts.is_looked_at(self.shell):
                pictures.show_engine(self._engine)
            else:
                publish(engine.act(line.strip(), self._engine))


def _register(task: Task[..., Any]) -> list[str]:
    """Tell the engine of the task; without an engine the task is kept, and the lines to show say so."""
    try:
        task.register()
    except EngineUnavailableError as problem:
        return [f"not registered yet: {problem}"]
    return []


def _register_at_once(task: Task[..., Any]) -> None:
    """For tasks that a decorator makes, and again for each hook that they get.

    A task's name is bound only after its decorator, but the body may use it: bind it already.
    """
    names = getattr(task.function, "__globals__", {})
    name = task.function.__name__
    is_early = names.get("__name__") == "__main__" and name not in names
    if is_early:
        names[name] = task
    try:
        remarks = [*_register(task), *_remarks(task)]
    except KernelKitError:
        if is_early:
            del names[name]
        raise
    if remarks:
        publish("\n".join([task.id, *(f"  {line}" for line in remarks)]))


def _headline(task: Task[..., Any]) -> str:
    parts = [task.id]
    if task.version:
        parts.append(f"version {task.version}")
    parts.append(task.signature.text)
    if task.queue != f"task/{task.id}":
        parts.append(f"queue {task.queue}")
    return "  ".join(parts)


def _remarks(task: Task[..., Any]) -> list[str]:
    """What a person should know of a definition that worked: who had the id, and what cannot or should not travel."""
    notice = [task.notice] if task.notice else []
    return notice + (task.captures.lines() if task.captures else [])


def _restore(names: dict[str, Any], name: str, value: object) -> None:
    if value is _UNBOUND:
        names.pop(name, None)
    else:
        names[name] = value
