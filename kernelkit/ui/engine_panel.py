"""The engine in few words: is it well, what is it doing, who works for it. Text and static HTML from one view."""

from __future__ import annotations

import textwrap
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import msgspec

from kernelkit.clock import to_datetime
from kernelkit.ui import html, words
from kernelkit.ui.text import WIDTH, to_ascii
from kernelkit.wire.messages import EngineStatus, WorkerInfo

SILENT_S = 2.0  # a shared worker's loop that has not answered for longer is named


class WorkerRow(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    kind: str
    pid: int
    doing: str
    is_busy: bool = False
    names: str = ""  # of the tasks it runs
    memory: str = ""
    share: float = 0.0  # of its cap, 0 to 1
    since: datetime | None = None


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the four: a value, of what, in words what else, and how it went or how full it is."""

    name: str
    value: str
    of: str = ""
    more: str = ""
    line: tuple[float, ...] = ()  # the last 15 minutes, oldest first; -1 where there was nothing
    share: float | None = None


class Held(msgspec.Struct, frozen=True):
    """Why the first run of a queue does not start."""

    queue: str
    queued: str
    reason: str


class EngineView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`is_well` False means that `problem` says what to do."""

    is_well: bool
    title: str
    about: str
    figures: tuple[str, ...]
    problem: str
    workers: tuple[WorkerRow, ...]
    as_of: str
    is_away: bool = False
    began: datetime | None = None
    four: tuple[Figure, ...] = ()
    held: tuple[Held, ...] = ()
    more_workers: int = 0


def engine_view(status: EngineStatus, *, now: datetime, zone: tzinfo) -> EngineView:
    """The view of a running engine's answer."""
    up = (now - to_datetime(status.started_at)).total_seconds()
    figures = [f"executing {status.executing:,} of {status.limit:,}"]
    for key, told in (("QUEUED", "queued"), ("DELAYED", "delayed"), ("WAITING", "waiting")):
        if status.runs.get(key):
            figures.append(f"{told} {status.runs[key]:,}")
    done = sum(status.runs.get(key, 0) for key in ("COMPLETED", *words.FAILURES, "CANCELED", "EXPIRED"))
    # A live panel does not have history counted each second: then what the engine itself has seen is told.
    figures.append(f"{done:,} ended" if done else f"{sum(status.pulse.ended):,} ended in 15 min")
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
        began=to_datetime(status.started_at),
        four=_four(status),
        held=tuple(
            Held(words.cut(words.clean(one.queue), 100), words.number(one.queued), words.sentence(one.reason))
            for one in status.held
        ),
    )


def _four(status: EngineStatus) -> tuple[Figure, ...]:
    """What the engine does, in four figures."""
    pulse, held = status.pulse, sum(worker.memory for worker in status.workers)
    waiting = [(status.runs.get(key, 0), word) for key, word in (("QUEUED", "queued"), ("WAITING", "waiting"))]
    per_minute = [sum(pulse.ended[at : at + 4]) for at in range(0, len(pulse.ended), 4)]
    own = f"engine itself {words.size(status.engine_memory)}" if status.engine_memory else ""
    return (
        Figure(
            "Runs ended per minute",
            words.number(pulse.ended_a_minute),
            more=f"last 15 min, most {words.number(max(per_minute, default=0))}",
            line=tuple(float(count) for count in pulse.ended),
        ),
        Figure(
            "Executing",
            words.number(status.executing),
            of=words.number(status.limit),
            more=", ".join(f"{words.number(count)} {word}" for count, word in waiting),
            share=_share(status.executing, status.limit),
        ),
        Figure(
            "Memory, all workers",
            words.size(held),
            of=words.size(status.memory_limit) if 0 < status.memory_limit < 2**60 else "",
            more=own,
            share=_share(held, status.memory_limit),
        ),
        Figure(
            "Start delay",
            _wait(pulse.wait),
            more=f"p95 {_wait(pulse.wait_p95)}" if pulse.wait >= 0 else "nothing started in the last minute",
            line=pulse.waits,
        ),
    )


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole) if whole else 0.0


def _wait(seconds: float) -> str:
    return words.NONE if seconds < 0 else words.ended(timedelta(seconds=seconds))


def engine_away(home: str, *, was_stopped: bool) -> EngineView:
    """The view when no engine answers: nothing is lost, and how to start it."""
    told = "It was stopped on purpose." if was_stopped else "It starts by itself with the next trigger."
    problem = f"{told} Nothing is lost: runs continue when it starts. Start it with `%engine start` or `kernelkit up`."
    return EngineView(False, "Engine not running", near(home), (), problem, (), "", is_away=True)


def _worker(worker: WorkerInfo) -> WorkerRow:
    kind = "shared" if worker.kind == "shared" else "process of its own"
    doing = _count(worker.attempts, "run") if worker.attempts else "idle"
    if worker.silent_s > SILENT_S:
        doing += f", silent for {worker.silent_s:.0f} s"
    names = ", ".join(words.clean(task) for task in worker.doing)
    if worker.suspended:
        names += f"{', ' if names else ''}{words.number(worker.suspended)} suspended"
    cap = worker.memory_limit
    return WorkerRow(
        id=words.clean(worker.id),
        kind=kind,
        pid=worker.pid,
        doing=doing,
        is_busy=worker.attempts > worker.suspended,
        names=names,
        memory=(words.size(worker.memory) + (f" of {words.size(cap)}" if cap else "")) if worker.memory else words.NONE,
        share=_share(worker.memory, cap),
        since=to_datetime(worker.since) if worker.since else None,
    )


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
    lines += [
        words.cut(f"  {one.queued} in line of {one.queue}: {words.phrase(one.reason)}", width) for one in engine.held
    ]
    return "\n".join(to_ascii(line) if ascii else line for line in lines)


def _told(figure: Figure) -> str:
    of = f" of {figure.of}" if figure.of else ""
    return f"{figure.name}: {figure.value}{of}" + (f" ({figure.more})" if figure.more else "")


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
            ("Figures", "<br>".join(html.esc(_told(figure)) for figure in engine.four)),
            ("In line", "<br>".join(html.esc(f"{one.queue}, {one.queued}: {one.reason}") for one in engine.held)),
            ("Workers", "<br>".join(html.esc(line) for line in told)),
        ],
    )
