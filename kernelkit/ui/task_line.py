"""A task in three lines: its name and version, its parameters, its rules. Text and static HTML from one view."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from kernelkit.authoring.task import Task
from kernelkit.errors import TaskDefinitionError
from kernelkit.models.task import RetryPolicy
from kernelkit.rules.cron_words import in_words
from kernelkit.ui import html, words
from kernelkit.ui.form import form_of, told
from kernelkit.ui.text import WIDTH, row, to_ascii


class TaskView(msgspec.Struct, frozen=True):
    task_id: str
    version: str
    where: str
    signature: str
    rules: tuple[str, ...]
    description: str
    fields: tuple[str, ...] = ()


def task_view(task: Task[..., Any]) -> TaskView:
    """What is known of a task without asking an engine."""
    limits = [f"{task.concurrency_limit} at once"] if task.concurrency_limit is not None else []
    limits += [str(task.rate_limit)] if task.rate_limit is not None else []
    at_once = f" ({', '.join(limits)})" if limits else ""
    kind = "a process of its own" if task.isolation == "process" else "shared worker"
    rules = [f"queue {words.clean(task.queue)}{at_once}", attempts(task.retry), kind]
    if task.machine:
        rules[-1] = task.machine
    if task.max_duration:
        rules.append(f"stops after {words.spelled(timedelta(seconds=task.max_duration))}")
    if task.timing is not None:
        rules.append(f"{in_words(task.timing.cron)}, {task.timing.timezone}")
    if task.tags:
        rules.append("tags " + ", ".join(words.clean(tag) for tag in task.tags))
    return TaskView(
        task_id=words.clean(task.id),
        version=f"version {task.version}" if task.version else "not registered yet",
        where=words.clean(task.where),
        signature=words.clean(task.signature.text),
        rules=tuple(rules),
        description=words.clean(task.description),
        fields=_fields(task),
    )


def _fields(task: Task[..., Any]) -> tuple[str, ...]:
    """The payload's fields, one line each; none where its schema cannot be read."""
    try:
        form = form_of(task.json_schema)
    except TaskDefinitionError:
        return ()
    return tuple(f"{words.clean(field.name)}: {told(field)}" for field in form.fields)


def attempts(policy: RetryPolicy) -> str:
    """
    >>> attempts(RetryPolicy(max_attempts=5)), attempts(RetryPolicy(max_attempts=1))
    ('5 attempts, 1 s to 60 s apart', 'one attempt')
    """
    if policy.max_attempts == 1:
        return "one attempt"
    low, high = words.number(policy.min_timeout), words.number(policy.max_timeout)
    apart = f"{low} s apart" if low == high else f"{low} s to {high} s apart"
    return f"{policy.max_attempts} attempts, {apart}"


def task_text(task: TaskView, *, width: int = WIDTH, ascii: bool = False) -> str:
    width = max(60, width)
    lines = [row(f"{task.task_id}  {task.version}", words.cut(task.where, width // 2), width)]
    lines += [f"  {line}" for line in (task.description, task.signature, " · ".join(task.rules)) if line]
    shown = [words.cut(line, width) for line in lines]
    return "\n".join(to_ascii(line) if ascii else line for line in shown)


def task_html(task: TaskView) -> str:
    return html.facts(
        f"{html.esc(task.task_id)}, {html.esc(task.version)}",
        [
            ("About", html.esc(task.description)),
            ("Parameters", html.code(task.signature)),
            ("Fields", "<br>".join(html.esc(field) for field in task.fields)),
            ("Rules", html.esc(" · ".join(task.rules))),
            ("Defined in", html.esc(task.where)),
        ],
    )
