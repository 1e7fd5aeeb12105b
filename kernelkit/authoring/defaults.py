"""Defaults of task options: `kk.configure(…)` for this process, `[tool.kernelkit]` of pyproject.toml for the project.

    trigger  >  task  >  kk.configure  >  [tool.kernelkit]

They fill what a task left out, at its definition, and are baked in: changing them later changes no task that exists,
and no worker ever looks at them. What a newcomer would get wrong: nothing is merged. A task with `retry=kk.Retry(…)`
takes nothing from a default `retry`, and `retries=` takes its place as well.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kernelkit.authoring.options import (
    RETRY_FIELDS,
    NoTimeout,
    Retry,
    refuse_unknown,
    task_options,
)
from kernelkit.config import find_home
from kernelkit.durations import Duration
from kernelkit.errors import InvalidOptionError, KernelKitError
from kernelkit.models.task import LogLevel

DEFAULTED = ("retry", "retries", "machine", "max_duration", "ttl", "log_level")
TABLE = "[tool.kernelkit]"
_MEANS_SOMETHING = ("retry", "machine")  # options of which None is a choice: one attempt, no cap

Given = dict[str, Any]  # options as a person gave them


class _Unset:
    def __repr__(self) -> str:
        return "<as before>"


UNSET: Any = _Unset()

_process: Given = {}
_read: dict[Path, tuple[tuple[int, int], Given]] = {}
_reads_project = True


def configure(
    *,
    retry: Retry | None = UNSET,
    retries: int = UNSET,
    machine: str | None = UNSET,
    max_duration: Duration | NoTimeout = UNSET,
    ttl: Duration = UNSET,
    log_level: LogLevel = UNSET,
    **unknown: object,
) -> None:
    """Set this process's defaults for tasks that are defined after it; what is not named stays as it was.

        kk.configure(retry=kk.Retry(max_attempts=5), machine="small-2x", max_duration="1h")

    A task's own options go before these, and these before `[tool.kernelkit]` in pyproject.toml. `retry=None` means one
    attempt, `machine=None` no cap, `max_duration=kk.NO_TIMEOUT` and `ttl=0` no limit; `log_level` is the lowest level
    of `kk.logger` calls that are kept. Raises `InvalidOptionError` for what a task would refuse, and changes nothing
    then.
    """
    refuse_unknown(unknown, DEFAULTED, "kk.configure")
    named = {
        "retry": retry,
        "retries": retries,
        "machine": machine,
        "max_duration": max_duration,
        "ttl": ttl,
        "log_level": log_level,
    }
    given = {name: value for name, value in named.items() if value is not UNSET}
    task_options("checked", given)
    made = _over(given, _process)
    _process.clear()
    _process.update(made)


def with_defaults(given: Mapping[str, Any]) -> Given:
    """The options of a task, with the defaults of its process and of its project under them.

    Raises `InvalidOptionError` naming file and key where the project's are wrong.
    """
    return _over(given, _over(_process, _of_project()))


@contextlib.contextmanager
def forgotten_after() -> Iterator[None]:
    """What `configure` sets in this block is gone after it."""
    before = dict(_process)
    try:
        yield
    finally:
        _process.clear()
        _process.update(before)


def ignore_project() -> None:
    """For workers: their tasks are defined already, and a file that was spoilt since must not fail their imports."""
    global _reads_project
    _reads_project = False


def _over(upper: Mapping[str, Any], lower: Mapping[str, Any]) -> Given:
    """`upper`, with what it leaves out from `lower`; `retry` and `retries` are one option."""
    said = {name for name, value in upper.items() if value is not None or name in _MEANS_SOMETHING}
    if said & {"retry", "retries"}:
        said |= {"retry", "retries"}
    return {**{name: value for name, value in lower.items() if name not in said}, **upper} if lower else dict(upper)


# ---- the project -----------------------------------------------------------------------------------------------------


def _of_project() -> Given:
    if not _reads_project:
        return {}
    file = find_home().path.parent / "pyproject.toml"
    try:
        facts = file.stat()
    except OSError:
        return {}
    stamp = (facts.st_mtime_ns, facts.st_size)
    known = _read.get(file)
    if known is None or known[0] != stamp:
        known = _read[file] = (stamp, read_project(file))
    return known[1]


def read_project(file: Path) -> Given:
    """The checked task defaults of a pyproject.toml; raises `InvalidOptionError` naming file and key."""
    try:
        table = tomllib.loads(file.read_text()).get("tool", {}).get("kernelkit", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as cause:
        raise InvalidOptionError(f"{file} cannot be read: {cause}.") from cause
    if not isinstance(table, dict):
        raise InvalidOptionError(f"{file}: tool.kernelkit is not a table. Write its keys under {TABLE}.")
    given = {name: value for name, value in table.items() if name != "engine"}
    try:
        refuse_unknown(given, (*DEFAULTED, "engine"), TABLE)
        if isinstance(given.get("retry"), dict):
            refuse_unknown(given["retry"], RETRY_FIELDS, "tool.kernelkit.retry")
            given["retry"] = Retry(**given["retry"])
        task_options("checked", given)
    except KernelKitError as problem:
        raise InvalidOptionError(f"{file}, table {TABLE}: {problem.message}", **problem.facts) from problem
    return given
