"""`kk.notebook`: makes a task of a notebook file.

Here and not in `authoring/` because the task's body is this layer's: the notebook runs in a worker's kernel. The
function that the task is made of has the notebook's parameters as its own, so that triggers, schemas, completion and
errors need to know nothing of notebooks.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from kernelkit.authoring.cancelsignal import CancelSignal
from kernelkit.authoring.decorator import task
from kernelkit.authoring.kernelspecs import choose_kernel
from kernelkit.authoring.parameters import Parameters, read_parameters
from kernelkit.authoring.task import Task
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidOptionError, TaskDefinitionError
from kernelkit.execution.notebooks.job import NotebookJob, Source, read_notebook
from kernelkit.execution.notebooks.run import run_notebook

OUTPUT_LIMIT = 10_000_000
_SIGNAL = "kernelkit_signal"  # a parameter of the function that no notebook is likely to have
_NOT_IN_IDS = re.compile(r"[^\w./:-]+")


def notebook(
    path: str | os.PathLike[str],
    *,
    id: str | None = None,
    source: Source = "snapshot",
    kernel: str | None = None,
    cell_timeout: Duration | None = None,
    output_limit: int | None = OUTPUT_LIMIT,
    **options: Any,  # those of kk.task, which checks them
) -> Task[..., dict[str, Any]]:
    """Make a task of a notebook: each run executes it in a fresh kernel, in a worker process of its own.

        report = kk.notebook("reports/daily.ipynb", id="daily-report", retries=2, max_duration="30m")
        run = report.trigger(region="EU")       # values for the cell tagged `parameters`
        run.artifacts["daily.html"].path        # the executed notebook, and a page of it, are kept with the run

    Parameters are the names that the cell tagged `parameters` assigns, with their annotations or the types of their
    defaults. `source="snapshot"` runs the notebook as it is now, `"live"` as it is when a run starts. `kernel` is a
    kernel's name instead of the notebook's own. A cell may take `cell_timeout`, and keeps `output_limit` bytes of
    output (None: all). The other options are those of `kk.task`: `retry`, `max_duration`, `queue`, hooks, …

    The working directory is the notebook's folder. The output is a dict: `notebook` and `html` (paths of the
    artifacts) and `cells` (how many were executed). Raises `TaskDefinitionError` for a file that is no notebook or a
    kernel that is not there, and `InvalidOptionError`.
    """
    file = Path(os.path.abspath(os.path.expanduser(path)))
    if source not in get_args(Source):
        raise InvalidOptionError(f"source={source!r} is unknown. Give 'snapshot' or 'live'.", field="source")
    if options.get("isolation") not in (None, "process"):
        raise InvalidOptionError(
            "A notebook job has a worker process of its own; leave isolation= out.", field="isolation"
        )
    read = read_notebook(file)
    choice = choose_kernel(read["metadata"], kernel, what=file.name)
    parameters = read_parameters(read["cells"], what=file.name) if choice.is_python else Parameters((), {})
    text = json.dumps(read, sort_keys=True)
    job = NotebookJob(
        path=str(file),
        source=source,
        text=text if source == "snapshot" else "",
        kernel=choice,
        cell_timeout=0.0 if cell_timeout is None else _positive(cell_timeout),
        output_limit=_limit(output_limit),
    )
    body = _function(job, parameters)
    body.__doc__ = f"The notebook {file.name}."
    return task(id=id or id_of(file), **{**options, "isolation": "process"})(body)


def _function(job: NotebookJob, parameters: Parameters) -> Any:
    """The task's function: takes the parameters, executes the notebook."""

    async def execute(**values: Any) -> dict[str, Any]:
        signal = values.pop(_SIGNAL, None)
        return await run_notebook(job, values, signal)

    name = Path(job.path).stem
    arguments = [parameter.as_argument() for parameter in parameters]
    signal = inspect.Parameter(_SIGNAL, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=CancelSignal)
    facts: dict[str, Any] = {
        "__name__": name,
        # not found by importing, so that it travels by value, job and all
        "__qualname__": f"notebook.<locals>.{name}",
        "__signature__": inspect.Signature([*arguments, signal]),
        "__annotations__": {
            each.name: each.annotation for each in (*arguments, signal) if each.annotation is not each.empty
        },
        "__kernelkit_source__": "\n".join((job.path, job.source, job.kernel.name, str(arguments), job.text)),
        "__kernelkit_where__": os.path.relpath(job.path),
    }
    function: Callable[..., Any] = execute
    for fact, value in facts.items():
        setattr(function, fact, value)
    return function


def id_of(file: Path) -> str:
    """The task id of a notebook that is given none.

    >>> id_of(Path("reports/daily report_2.ipynb"))
    'daily-report-2'
    """
    made = _NOT_IN_IDS.sub("-", file.stem.replace("_", "-")).strip("-./:")
    if not made:
        raise TaskDefinitionError(f"No task id can be made of the name {file.name}. Give id='…'.")
    return made


def _positive(given: Duration) -> float:
    seconds = to_seconds(given, field="cell_timeout")
    if seconds <= 0:
        raise InvalidOptionError("cell_timeout=0 would let no cell do anything. Leave it out.", field="cell_timeout")
    return seconds


def _limit(given: int | None) -> int:
    if given is None:
        return 0
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise InvalidOptionError(
            f"output_limit={given!r} is not a number of bytes from 1, nor None for no limit.", field="output_limit"
        )
    return given
