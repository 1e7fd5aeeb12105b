"""The live task card: how the task's runs stand, and clicks that trigger it.

The browser checks what it is sure of; what it sends is triggered as any call is, and what that refuses goes back to the
field it is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from kernelkit.authoring import caller as callers
from kernelkit.authoring.bundle import own_source
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.task import Task
from kernelkit.errors import InvalidOptionError, KernelKitError
from kernelkit.models.run import Run
from kernelkit.ui import words
from kernelkit.ui.faces import Bundle
from kernelkit.ui.form import form_of
from kernelkit.ui.polled import Polled, named
from kernelkit.ui.refusals import field_errors
from kernelkit.ui.task_card import RECENT, More, more, run_options_form, task_card, versions_text
from kernelkit.ui.task_line import task_html, task_text, task_view
from kernelkit.wire.messages import ListRuns, ListTasks, RunPage, RunSummary, SummarizeRuns, TaskList

EVERY_S = 1.0


class TaskSource(Polled):
    """A `Source` of `ui/live_view.py`."""

    is_connected = True  # a trigger starts the engine: nothing is to be told while none runs

    def __init__(self, task: Task[..., Any], caller: Caller, open_card: Callable[[str], object] | None = None) -> None:
        """`open_card` is called with the id of a run that the reader wants to see."""
        super().__init__(caller)
        self._open_card = open_card
        self.open_table: Callable[[], None] | None = None
        """Shows all runs of the task below the card, once."""
        self.caller = caller
        self._task = task
        self._form = form_of(task.json_schema)
        self._more: More | None = None
        self._runs: tuple[Run, ...] = ()
        self._counts: dict[str, int] = {}

    def open(self) -> None:
        self.read()  # without an engine there is a form all the same

    def ask(self) -> None:
        found = self.caller.call(ListRuns(task=(self._task.id,), limit=RECENT))
        summary = self.caller.call(SummarizeRuns(task=(self._task.id,)))
        assert isinstance(found, RunPage)
        assert isinstance(summary, RunSummary)
        self._runs, self._counts = found.runs, summary.counts

    def shown(self) -> dict[str, Any]:
        task = self._task
        view: dict[str, Any] = msgspec.to_builtins(
            task_card(
                task_view(task),
                self._form,
                name=task.function.__name__,
                queue=task.queue,
                attempts=task.retry.max_attempts,
                runs=self._runs,
                counts=self._counts,
                more=self._more,
                now=datetime.now(UTC),
                zone=words.local_zone(),
            )
        )
        return {"total": 0, **view}

    def bundle(self) -> Bundle:
        view = task_view(self._task)
        return {"text/plain": task_text(view), "text/html": task_html(view)}

    def act(self, content: dict[str, Any]) -> str:
        if content.get("do") == "card" and self._open_card is not None:
            self._open_card(named(content, "id"))
            return ""
        if content.get("do") == "all":
            show, self.open_table = self.open_table, None
            if show is not None:  # else they stand below
                show()
            return ""
        if content.get("do") == "more":
            self._more = self._asked_for(named(content, "what"))
            return ""
        if content.get("do") != "trigger":
            raise KernelKitError(f"The task card knows no {content.get('do')!r}.")
        given = content.get("options")
        known = {field.name for field in run_options_form("", 1)}
        options = {name: value for name, value in given.items() if name in known} if isinstance(given, dict) else {}
        payload = (content["payload"],) if "payload" in content else ()
        with callers.use(self.caller):
            run = self._task.options(**options).trigger(*payload)
        return f"Triggered {run.id}" if not run.is_cached else f"The same key was used before, by {run.id}"

    def _asked_for(self, what: str) -> More:
        match what:
            case "versions":
                found = self.caller.call(ListTasks())
                assert isinstance(found, TaskList)
                mine = [one for one in found.tasks if one.spec.id == self._task.id]
                told = "".join(versions_text(one.versions, one.version) for one in mine)
                return more(what, told or "None so far: the first trigger registers the task.")
            case "source":
                return more(
                    what, own_source(self._task.function) or f"Its text is not at hand; it is {self._task.where}."
                )
            case "schema":
                return more(what, json.dumps(json.loads(self._task.json_schema), indent=2, ensure_ascii=False))
        raise KernelKitError(f"The task card has no {what!r}.")

    def problem(self, problem: KernelKitError) -> dict[str, Any]:
        """The refusal at the fields that it is about: a path of names, those of options behind `@`."""
        if found := field_errors(problem):
            return {"errors": found}
        field = problem.facts.get("field")
        if isinstance(problem, InvalidOptionError) and field:
            return {"errors": [{"path": ["@", field], "text": words.clean(str(problem))[:300]}]}
        return {}
