"""Machine presets on this host: what a run may use, what is left, and what becomes of one that ran out of memory. Pure.

Reservations are read off the runs that hold slots, as limits are. What a newcomer would get wrong: runs with a machine
start in the order of their turns, so that small ones never keep a large one waiting for ever; runs without one reserve
nothing and pass them by.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.errors import InvalidOptionError, OutOfMemoryError, to_wire
from kernelkit.models.error import Error
from kernelkit.models.machine import PRESETS, Machine, check_preset, in_gib, told
from kernelkit.wire.messages import ChildTrigger, TriggerItem

_SPARE = 1e-9  # sums of quarters of a vCPU are exact; this is for settings such as 0.1


def granted(name: str, capacity: c.Capacity) -> Machine | None:
    """What a run of that preset may use here; None without one."""
    return PRESETS[name].clamped(capacity.cpu, capacity.memory) if name else None


def fits(state: State, name: str, capacity: c.Capacity) -> bool:
    """Whether a run of that preset can start beside those that hold slots."""
    machine = granted(name, capacity)
    if machine is None:
        return True
    cpu, memory = _free(state, capacity)
    return machine.cpu <= cpu + _SPARE and machine.memory <= memory


def _free(state: State, capacity: c.Capacity) -> tuple[float, int]:
    cpu, memory = capacity.cpu, capacity.memory
    for run_id in state.holders:
        machine = granted(state.runs[run_id].machine, capacity)
        if machine is not None:
            cpu -= machine.cpu
            memory -= machine.memory
    return cpu, memory


def shortage(state: State, run: LiveRun, capacity: c.Capacity) -> str | None:
    """What of its machine is not free, in words; None when all of it is.

    "waits for memory: 2 GiB asked, 0.5 free".
    """
    machine = granted(run.machine, capacity)
    if machine is None:
        return None
    cpu, memory = _free(state, capacity)
    if machine.memory > memory:
        return f"waits for memory: {in_gib(machine.memory)} GiB asked, {in_gib(max(0, memory))} free"
    if machine.cpu > cpu + _SPARE:
        return f"waits for vCPUs: {machine.cpu:g} asked, {max(0.0, cpu):g} free"
    return None


def clamped_notice(name: str, capacity: c.Capacity) -> str | None:
    """What a person should know of a run whose preset is larger than the host."""
    if not name:
        return None
    asked, here = PRESETS[name], granted(name, capacity)
    if here is None or here == asked:
        return None
    return f"Machine {name} is {told(asked)}; this host has less, so it is {told(here)} here."


Checked = TypeVar("Checked", c.TriggerRuns, ChildTrigger)


def with_machines_checked(command: c.Command, capacity: c.Capacity) -> c.Command:
    """The command; raises for presets that do not exist and, with `strict_machines`, for those larger than the host.

    In a batch the items that ask for them fail alone.
    """
    if isinstance(command, c.TakeReport) and not isinstance(command.body, ChildTrigger):
        return command  # nearly every command there is
    match command:
        case c.DefineTask():
            _check(command.spec.machine, capacity)
            _check(command.spec.retry.on_out_of_memory, capacity)
            return command
        case c.TriggerRuns():
            return _items_checked(command, capacity)
        case c.TakeReport(body=ChildTrigger() as body):
            checked = _items_checked(body, capacity)
            return command if checked is body else replace(command, body=checked)
        case _:
            return command


def _items_checked(asked: Checked, capacity: c.Capacity) -> Checked:
    if not any([item.machine for item in asked.items]):
        return asked
    return replace(asked, items=tuple(_item_checked(item, capacity, bool(asked.batch_id)) for item in asked.items))


def _item_checked(item: TriggerItem, capacity: c.Capacity, in_batch: bool) -> TriggerItem:
    try:
        _check(item.machine, capacity)
    except InvalidOptionError as refusal:
        if not in_batch:
            raise
        return replace(item, machine="", problem=to_wire(refusal))
    return item


def _check(name: str, capacity: c.Capacity) -> None:
    if not name:
        return
    check_preset(name, "machine")
    if capacity.strict_machines and clamped_notice(name, capacity):
        raise InvalidOptionError(
            f"Machine {name} is {told(PRESETS[name])}, and this host has {capacity.cpu:g} vCPU and "
            f"{in_gib(capacity.memory)} GiB for machines. The setting strict_machines refuses what does not fit; "
            "give a smaller machine, or turn it off: kernelkit config set strict_machines false.",
            field="machine",
        )


def larger_machine(run: LiveRun) -> str:
    """The preset on which a run that ran out of memory is tried again; "" when there is none."""
    other = run.retry.on_out_of_memory if run.retry is not None else ""
    return other if other != run.machine else ""


def out_of_memory_error(error: Error, peak: int | None, limit: Machine | None) -> Error:
    """`error` with the peak and the limit in its words."""
    facts = []
    if peak is not None:
        facts.append(f"peak {in_gib(peak)} GiB")
    if limit is not None:
        facts.append(f"limit {in_gib(limit.memory)} GiB (machine {limit.name})")
    else:
        facts.append("no limit (the task names no machine)")
    told_facts = f"Out of memory: {', '.join(facts)}."
    message = told_facts if not error.message else f"{error.message.rstrip('.')}. {told_facts}"
    return replace(error, message=message, code=OutOfMemoryError.code)
