"""Executes a notebook: kernel up, cell by cell, files of it kept, kernel gone.

It runs in the main thread of an exclusive worker, on the loop of the attempt. What a newcomer would get wrong: being
stopped is not being cancelled. The signal interrupts the cell, whose `finally` blocks then run and whose output is
kept; the kernel is killed only when it does not heed that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from kernelkit import jsonvalues
from kernelkit.authoring import caller as callers
from kernelkit.authoring.artifacts import folder_of, write_artifact
from kernelkit.authoring.cancelsignal import CancelSignal
from kernelkit.authoring.scope import Scope
from kernelkit.authoring.scope import scope as current
from kernelkit.errors import KernelKitError, NotebookKernelError
from kernelkit.execution.notebooks import page, trouble
from kernelkit.execution.notebooks.job import NotebookJob, first_line, injected, is_executed, still_known
from kernelkit.execution.notebooks.libraries import load_nbformat
from kernelkit.execution.notebooks.progress import Progress
from kernelkit.wire.parent import as_variable

INTERRUPT_S = 3.0  # for a cell to end by itself, well within the 5 s that a run gets whose time is up


async def run_notebook(job: NotebookJob, values: dict[str, Any], signal: CancelSignal | None) -> dict[str, Any]:
    """Execute the notebook with these values; where its files are, and how many cells it had.

    Raises `NotebookCellError`, `NotebookKernelError`, `NotebookTimeoutError`, or what a cell says with
    `AbortTaskRunError`.
    """
    found = current.get()
    work = Execution(job, values, signal or CancelSignal(), found).run()
    return await (work if found is None or found.line.aside is None else found.line.aside(work))


class Execution:
    """One execution of a notebook."""

    def __init__(self, job: NotebookJob, values: dict[str, Any], signal: CancelSignal, scope: Scope | None) -> None:
        self._job = job
        self._values = values
        self._signal = signal
        self._scope = scope
        self._progress = Progress(scope, file=job.name, kernel=job.kernel.name)
        self._sources: dict[int, str] = {}  # texts of the cells executed so far, by number

    async def run(self) -> dict[str, Any]:
        from kernelkit.execution.notebooks.kernel import Kernel  # jupyter_client and zmq: not for every worker

        job = self._job
        raw = job.open()
        parameters = job.parameters(raw)
        given = self._given()
        still_known(job, parameters, given)
        self._progress.given(self._values)
        raw = injected(raw, parameters, given)
        self._progress.starts(sum(is_executed(cell) for cell in raw["cells"]))
        async with Kernel(job.kernel, folder=job.folder, variables=self._variables(), what=job.name) as kernel:
            await kernel.start()
            self._count_memory_of(kernel)
            return await self._execute(kernel, raw)

    async def _execute(self, kernel: Any, raw: dict[str, Any]) -> dict[str, Any]:
        # Loaded here, while the kernel starts: most of a second, and the kernel needs about as long.
        load_nbformat()
        import nbformat

        from kernelkit.execution.notebooks.cells import Cells
        from kernelkit.execution.notebooks.record import Record

        job = self._job
        notebook = nbformat.from_dict(raw)
        record = Record(notebook, self._folder(), job.name)
        record.write()
        loading = asyncio.get_running_loop().run_in_executor(None, page.load)
        try:
            await self._unless_stopped(kernel.ready())
            notebook.metadata["language_info"] = await _language(kernel)
            cells = Cells(notebook, kernel, limit=job.output_limit, told=self._progress.output)
            count = await self._go_through(kernel, cells, record)
        except BaseException:
            self._progress.end()
            kernel.kill()
            with contextlib.suppress(KernelKitError):
                record.all_ended()
                await self._keep_page(notebook, record.folder, loading)
            raise
        self._progress.end()
        self._progress.all_ended()
        record.all_ended()
        made, _ = await asyncio.gather(self._keep_page(notebook, record.folder, loading), kernel.end(at_once=False))
        return {"notebook": str(record.path), "html": None if made is None else str(made), "cells": count}

    async def _go_through(self, kernel: Any, cells: Any, record: Any) -> int:
        chosen = [(index, cell) for index, cell in enumerate(cells.nb.cells) if is_executed(cell)]
        number = 0
        for index, cell in self._progress.over(chosen):
            number += 1
            self._sources[number] = cell["source"]
            self._progress.cell(number, len(chosen), first_line(cell), cell["source"])
            try:
                await self._one(kernel, cells, index, number)
            finally:
                if not asyncio.current_task().cancelling():  # type: ignore[union-attr]  # a task runs this
                    record.cell_ended(index)
        return number

    async def _one(self, kernel: Any, cells: Any, index: int, number: int) -> None:
        from nbclient.exceptions import CellExecutionError, DeadKernelError

        job, cell = self._job, cells.nb.cells[index]
        try:
            await self._within_time(kernel, cells.execute(index, number))
        except TimeoutError:
            raise trouble.took_too_long(job.name, number, cell, job.cell_timeout) from None
        except CellExecutionError as cause:
            reply = _error_of(cell) or {"ename": cause.ename, "evalue": cause.evalue}
            raise trouble.cell_raised(job.name, number, cell, reply, self._sources) from None
        except DeadKernelError:
            raise trouble.kernel_died(job.name, number, cell, kernel.exit_words, kernel.last_words()) from None

    async def _within_time(self, kernel: Any, work: Any) -> None:
        """Await a cell; when the run is to stop, or the cell takes too long, interrupt it, and kill what is deaf."""
        cell = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._signal.wait())
        try:
            timeout = self._job.cell_timeout or None
            await asyncio.wait({cell, stop}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if cell.done():
                await cell
                return
            stopped = stop.done()
            await kernel.interrupt()
            await asyncio.wait({cell}, timeout=INTERRUPT_S)
            if not cell.done():
                kernel.kill()
                await asyncio.wait({cell}, timeout=INTERRUPT_S)
            if stopped:
                raise self._stopped()
            raise TimeoutError
        finally:
            await _ended(cell, stop)

    async def _unless_stopped(self, work: Any) -> None:
        """Await something that is simply given up when the run is to stop."""
        doing = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._signal.wait())
        try:
            await asyncio.wait({doing, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise self._stopped()
            await doing
        finally:
            await _ended(doing, stop)

    def _stopped(self) -> KernelKitError:
        return NotebookKernelError(f"{self._job.name} was stopped: {self._signal.reason}.")

    async def _keep_page(self, notebook: Any, folder: Path, loading: Any) -> Path | None:
        name = Path(self._job.name).with_suffix(".html").name
        try:
            await loading
            text = await asyncio.to_thread(page.page_of, notebook, Path(self._job.name).stem)
            return write_artifact(folder, name, text.encode("utf-8", "surrogatepass"))
        except Exception as problem:  # nbconvert meets a person's outputs, and the notebook itself is there
            self._progress.say(f"{name} could not be made: {type(problem).__name__}: {problem}")
            return None

    def _count_memory_of(self, kernel: Any) -> None:
        own = self._scope.peak_memory if self._scope is not None else None
        if self._scope is not None and own is not None:
            self._scope.peak_memory = lambda: max(own(), kernel.peak_memory())

    def _given(self) -> dict[str, Any]:
        """The values that the trigger named; the others are the notebook's own, which it has anyway."""
        if self._scope is None:
            return self._values
        named = jsonvalues.decode(self._scope.start.payload.text or "null") or {}
        return {name: value for name, value in self._values.items() if name in named}

    def _folder(self) -> Path:
        if self._scope is None:
            return Path(tempfile.mkdtemp(prefix="kernelkit-"))
        return folder_of(callers.current().home, self._scope.start.run_id)

    def _variables(self) -> dict[str, str]:
        """What the kernel is told: the notebook it runs, and the run whose children its triggers are."""
        told = {"JPY_SESSION_NAME": self._job.path}
        if self._scope is None:
            return told
        start = self._scope.start
        told["KERNELKIT_HOME"] = os.fspath(callers.current().home.path)
        return told | as_variable(start.run_id, start.fence, start.attempt)


async def _language(kernel: Any) -> dict[str, Any]:
    reply = await kernel.client.kernel_info(reply=True, timeout=60)
    found: dict[str, Any] = reply["content"].get("language_info", {})
    return found


def _error_of(cell: Any) -> dict[str, Any] | None:
    errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
    return dict(errors[-1]) if errors else None


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
