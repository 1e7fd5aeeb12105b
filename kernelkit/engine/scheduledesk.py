"""Answers what clients ask of schedules: each answer leaves after the commit of what it says."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.core import Core
from kernelkit.engine.offloop import Refuse, read_settled
from kernelkit.errors import KernelKitError, UnknownScheduleError
from kernelkit.models.schedule import Schedule
from kernelkit.wire import messages as m

Asked = m.SaveSchedule | m.SwitchSchedule | m.DeleteSchedule | m.GetSchedule | m.ListSchedules


class ScheduleDesk:
    """The engine's schedules, for clients."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def answer(self, body: Asked, reply: Callable[[m.ReplyBody], None]) -> None:
        """Carry out `body`; raises what it is refused with."""
        core = self._core
        match body:
            case m.SaveSchedule():
                core.take(
                    c.SaveSchedule(
                        body.id, body.task_id, body.timing, body.external_id, body.deduplication_key, body.change
                    )
                )
                self._reply_with(_saved_id(core, body), reply)
            case m.SwitchSchedule():
                core.take(c.SwitchSchedule(body.id, body.active))
                self._reply_with(body.id, reply)
            case m.DeleteSchedule():
                core.take(c.DeleteSchedule(body.id), lambda: reply(m.Done()))
            case m.GetSchedule():
                self._reply_with(body.id, reply)
            case m.ListSchedules():
                matching = [
                    self._shown(one)
                    for one in core.state.schedules.values()
                    if (not body.task or one.task_id == body.task)
                    and (not body.external_id or one.external_id == body.external_id)
                ]
                matching.sort(key=lambda one: (one.task_id, one.created_at, one.id))
                core.after_commit(lambda: reply(m.ScheduleList(tuple(matching))))

    def run(self, body: m.RunSchedule, again: bool, reply: Callable[[m.ReplyBody], None], refuse: Refuse) -> None:
        """Make a run of the schedule now, unless this request made it before and is sent `again`."""

        def take(known: bool) -> None:
            try:
                self._core.take(c.RunSchedule(body.id, body.run_id, known), lambda: reply(m.Triggered((body.run_id,))))
            except KernelKitError as refusal:
                refuse(refusal)

        if again and self._core.view(body.run_id) is None:
            read_settled(self._core, lambda: self._core.store.run(body.run_id) is not None, take, refuse)
        else:
            take(again)

    def _reply_with(self, schedule_id: str, reply: Callable[[m.ReplyBody], None]) -> None:
        schedule = self._core.state.schedules.get(schedule_id)
        if schedule is None:
            raise UnknownScheduleError(
                f"There is no schedule {schedule_id!r} in this project. kk.schedules.list() shows them.",
                schedule_id=schedule_id,
            )
        found = m.ScheduleReply(self._shown(schedule))
        self._core.after_commit(lambda: reply(found))

    def _shown(self, schedule: Schedule) -> Schedule:
        """With the status that its last run has now."""
        run = self._core.state.runs.get(schedule.last_run_id)
        return schedule if run is None else replace(schedule, last_status=run.status.value)


def _saved_id(core: Core, body: m.SaveSchedule) -> str:
    return body.id if body.id in core.state.schedules else core.state.schedule_keys[body.deduplication_key]
