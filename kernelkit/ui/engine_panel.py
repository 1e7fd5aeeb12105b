"""The engine in few words: is it well, what is it doing, who works for it. Text and static HTML from one view."""

from __future__ import annotations

import textwrap
from datetime import datetime, tzinfo
from pathlib import Path

import msgspec

from kernelkit.clock import to_datetime
from kernelkit.ui import html, words
from kernelkit.ui.text import WIDTH, to_ascii
from kernelkit.wire.messages import EngineStatus, WorkerInfo

SILENT_S = 2.0  # a shared worker's loop that has not answered for longer is named


class WorkerRow(msgspec.Struct, frozen=True):
    id: str
    kind: str
    pid: int
    doing: str


class EngineView(msgspec.Struct, frozen=True):
    """`is_well` False means that `problem` says what to do."""

    is_well: bool
    title: str
    about: str
    figures: tuple[str, ...]
    problem: str
    workers: tuple[WorkerRow, ...]
    as_of: str


def engine_view(status: EngineStatus, *, now: datetime, zone: tzinfo) -> EngineView:
    """The view of a running engine's answer."""
    up = (now - to_datetime(status.started_at)).total_seconds()
    figures = [f"executing {status.executing:,} of {status.limit:,}"]
    for key, told in (("QUEUED", "queued"), ("DELAYED", "delayed"), ("WAITING", "waiting")):
        if status.runs.get(key):
            figures.append(f"{told} {status.runs[key]:,}")
    done = sum(status.runs.get(key, 0) for key in ("COMPLETED", *words.FAILURES, "CANCELED", "EXPIRED"))
    figures.append(f"{done:,} ended")
    figures.append(_count(len(status.workers), "worker"))
    figures.append(_count(status.clients, "client"))
    silent = [worker for worker in status.workers if worker.silent_s > SILENT_S]
    problem = words.clean(status.store_problem)
    if not problem and silent:
        problem = "; ".join(f"worker {worker.id} has been silent for {worker.silent_s:.0f} s" for worker in silent)
    return EngineView(
        is_well=not problem,
        title="Engine healthy" if not problem else "Engine in trouble",
        about=f"pid {status.pid} · up {_up(up)} · {words.clean(status.version)} · {near(status.home)}",
        figures=tuple(figures),
        problem=problem,
        workers=tuple(_worker(worker) for worker in status.workers),
        as_of=f"{words.full_moment(now, zone)} ({words.zone_name(zone, now)})",
    )


def engine_away(home: str, *, was_stopped: bool) -> EngineView:
    """The view when no engine answers: nothing is lost, and how to start it."""
    told = "It was stopped on purpose." if was_stopped else "It starts by itself with the next trigger."
    problem = f"{told} Nothing is lost: runs continue when it starts. Start it with `%engine start` or `kernelkit up`."
    return EngineView(False, "Engine not running", near(home), (), problem, (), "")


def _worker(worker: WorkerInfo) -> WorkerRow:
    kind = "shared" if worker.kind == "shared" else "process of its own"
    doing = _count(worker.attempts, "run") if worker.attempts else "idle"
    if worker.silent_s > SILENT_S:
        doing += f", silent for {worker.silent_s:.0f} s"
    return WorkerRow(words.clean(worker.id), kind, worker.pid, doing)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _up(seconds: float) -> str:
    days, rest = divmod(max(0, int(seconds)), 86_400)
    return f"{days} d {rest // 3600:02d}:{rest % 3600 // 60:02d}" if days else words.ticking(rest)


def near(path: str) -> str:
    """A folder as seen from the working directory or the home folder."""
    folder = Path(words.clean(path))
    for base, prefix in ((Path.cwd(), "./"), (Path.home(), "~/")):
        if folder.is_relative_to(base):
            return prefix + folder.relative_to(base).as_posix()
    return str(folder)


def engine_text(engine: EngineView, *, width: int = WIDTH, ascii: bool = False) -> str:
    """Three lines; more only where something is wrong."""
    sign = words.STATUSES["COMPLETED" if engine.is_well else "SYSTEM_FAILURE"]
    width = max(60, width)
    lines = [words.cut(f"{sign.ascii if ascii else sign.sign} {engine.title}  {engine.about}", width)]
    wrapped = textwrap.wrap(engine.problem, width - 2, break_on_hyphens=False)
    lines += [words.cut(f"  {line}", width) for line in wrapped]  # wide characters: a line of so many is too long
    if engine.figures:
        lines.append(words.cut("  " + " · ".join(engine.figures), width))
    return "\n".join(to_ascii(line) if ascii else line for line in lines)


def engine_html(engine: EngineView) -> str:
    """Facts in two columns; workers each on a line."""
    sign = words.STATUSES["COMPLETED" if engine.is_well else "SYSTEM_FAILURE"].sign
    heading = f"{html.esc(sign)}{html.NBSP}{html.esc(engine.title)}" + (
        f", as of {html.esc(engine.as_of)}" if engine.as_of else ""
    )
    told = [f"{worker.id}: {worker.kind}, pid {worker.pid}, {worker.doing}" for worker in engine.workers[:20]]
    if len(engine.workers) > 20:
        told.append(f"{len(engine.workers) - 20:,} more")
    return html.facts(
        heading,
        [
            ("Engine", html.esc(engine.about)),
            ("Problem", html.esc(engine.problem)),
            ("Runs", html.esc(" · ".join(engine.figures))),
            ("Workers", "<br>".join(html.esc(line) for line in told)),
        ],
    )
