"""Attempts for tests of the rooms that run them: a scope whose reports land in a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kernelkit import jsonvalues
from kernelkit.authoring.hooks import NO_HOOKS, Hook, HookSet
from kernelkit.authoring.line import Line
from kernelkit.authoring.scope import Scope
from kernelkit.authoring.signature import Signature
from kernelkit.models.value import Value
from kernelkit.wire.messages import ReportBody, StartAttempt


@dataclass
class LoadedFunction:
    """A task without a bundle."""

    function: Callable[..., Any]
    signature: Signature
    task_id: str = "a-task"
    hooks: HookSet = NO_HOOKS

    def fill_linecache(self) -> None:
        """It has no sources of its own."""


def loaded(function: Callable[..., Any], *hooks: Hook) -> LoadedFunction:
    return LoadedFunction(function, Signature.of(function), hooks=HookSet(own=hooks) if hooks else NO_HOOKS)


def start_of(payload: object = None, **changes: Any) -> StartAttempt:  # fields of StartAttempt
    text = jsonvalues.encode(payload, what="the payload")
    fields: dict[str, Any] = {
        "run_id": "run_1",
        "task_id": "a-task",
        "fence": "fence_1",
        "attempt": 1,
        "max_attempts": 3,
        "bundle": "b1",
        "payload": Value(text=text, size=len(text)),
        "version": "20270101.1",
        "queue": "task/a-task",
        "created_at": 1_000_000,
    }
    return StartAttempt(**(fields | changes))


@dataclass
class Attempt:
    """A scope with everything that it told."""

    start: StartAttempt = field(default_factory=start_of)
    numbered: bool = False  # whether reports have to be settled

    def __post_init__(self) -> None:
        self.reports: list[ReportBody] = []
        self.lines: list[tuple[str, str]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.scope = Scope(
            self.start,
            Line(
                self._report,
                emit=lambda scope, level, text: self.lines.append((level, text)),
                later=lambda seconds, then: self.timers.append((seconds, then)),
            ),
        )

    def _report(self, scope: Scope, body: ReportBody) -> int | None:
        self.reports.append(body)
        return len(self.reports) if self.numbered else None

    def tick(self) -> None:
        """Let every timer fire that is set now."""
        due, self.timers = self.timers, []
        for _, then in due:
            then()
