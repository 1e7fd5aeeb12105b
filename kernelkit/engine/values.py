"""Sets payloads and outputs over 1 KiB aside, beside the events that refer to them, and keeps the newest at hand.

State never holds them: what is dispatched or delivered soon after it came is found here, anything older in the store.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.decide import Change
from kernelkit.engine.state import State
from kernelkit.ids import make_id
from kernelkit.models import event as ev
from kernelkit.models.value import INLINE_BYTES, Value
from kernelkit.store.rows import ValueRow
from kernelkit.wire import messages as m

KEPT_BYTES = 32 * 1024 * 1024


def values_of(changes: Iterable[Change]) -> set[str]:
    """References to the values that these changes need on disk."""
    found: set[str | None] = set()
    for change in changes:
        match change.event:
            case ev.RunTriggered(payload=value) | ev.RunDebounced(payload=value):
                found.add(value.ref)
            case ev.RunFinished(output=output) if output is not None:
                found.add(output.ref)
            case ev.StepKept(value=value) | ev.TokenCompleted(value=value):
                found.add(value.ref)
    return {ref for ref in found if ref is not None}


def held_refs(state: State) -> frozenset[str]:
    """References to values of tokens that the state still needs: of tokens it knows, and of waits of live runs."""
    values = [token.value for token in state.tokens.values()]
    values += [done.value for run in state.runs.values() for done in run.done.values()]
    return frozenset(value.ref for value in values if value is not None and value.ref is not None)


class RecentValues:
    """Texts by reference, the newest 32 MiB of them."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0

    def get(self, ref: str) -> str | None:
        return self._texts.get(ref)

    def set_aside(self, command: c.Command) -> tuple[c.Command, list[ValueRow]]:
        """Texts over 1 KiB go to the store beside the events, which hold a reference only."""
        if isinstance(command, c.TakeReport) and isinstance(command.body, m.Succeeded):
            if command.body.output.size <= INLINE_BYTES:
                return command, []  # nearly every command there is
        match command:
            case c.TriggerRuns():
                items, values = self._items_aside(command.items)
                return replace(command, items=items), values
            case c.AdvanceBulk():
                items, values = self._items_aside(command.items)
                return replace(command, items=items), values
            case c.TakeReport(body=m.ChildTrigger() as body):
                items, values = self._items_aside(body.items)
                return c.TakeReport(command.run_id, command.fence, replace(body, items=items)), values
            case c.TakeReport(body=m.Succeeded() as body):
                output, values = self._aside(body.output, f"{command.run_id}:output")
                return c.TakeReport(command.run_id, command.fence, replace(body, output=output)), values
            case c.TakeReport(body=m.KeepStep() as body):
                value, values = self._aside(body.value, f"{command.run_id}:{body.op}")
                return c.TakeReport(command.run_id, command.fence, replace(body, value=value)), values
            case c.TakeReport(body=m.CompleteToken() as body) | c.ChangeToken(body=m.CompleteToken() as body):
                value, values = self._aside(body.value, make_id("value"))
                kept = replace(body, value=replace(value, text=body.value.text))  # it may have to fit a schema
                if isinstance(command, c.ChangeToken):
                    return c.ChangeToken(kept), values
                return c.TakeReport(command.run_id, command.fence, kept), values
            case _:
                return command, []

    def _items_aside(self, items: tuple[m.TriggerItem, ...]) -> tuple[tuple[m.TriggerItem, ...], list[ValueRow]]:
        if all(item.payload.size <= INLINE_BYTES for item in items):
            return items, []
        kept, values = [], []
        for item in items:
            payload, rows = self._aside(item.payload, f"{item.run_id}:payload")
            kept.append(replace(item, payload=payload))
            values.extend(rows)
        return tuple(kept), values

    def _aside(self, value: Value, ref: str) -> tuple[Value, list[ValueRow]]:
        if value.size <= INLINE_BYTES or value.text is None:
            return value, []
        self._texts[ref] = value.text
        self._bytes += value.size
        while self._bytes > KEPT_BYTES and len(self._texts) > 1:
            _, old = self._texts.popitem(last=False)
            self._bytes -= len(old)
        return Value(ref=ref, size=value.size), [ValueRow(ref, value.text)]
