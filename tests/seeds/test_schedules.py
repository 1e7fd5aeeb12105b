"""The guide's "Scheduled Tasks (Cron)": declared ones, one with a time zone, and one for each user."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import kernelkit as kk
from kernelkit.testing import engine


def told(run: kk.Run) -> dict[str, Any]:
    output = run.output
    assert isinstance(output, dict)
    return output


def test_a_declared_schedule_and_one_with_a_time_zone() -> None:
    with engine(now=datetime(2030, 6, 1, 12, tzinfo=UTC)) as eng:

        @kk.schedules.task(cron="0 0 * * *")  # midnight UTC
        async def daily_cleanup(payload: kk.ScheduledPayload) -> dict[str, Any]:
            return {"at": payload.timestamp.isoformat(), "zone": payload.timezone, "by": payload.schedule_id}

        @kk.schedules.task(cron="0 9 * * *", timezone="Asia/Tokyo")
        async def tokyo_morning(payload: kk.ScheduledPayload) -> dict[str, Any]:
            return {"at": payload.timestamp.isoformat(), "zone": payload.timezone}

        daily_cleanup.register()
        tokyo_morning.register()
        eng.advance(hours=24)

        (cleaned,) = kk.runs.list(task="daily-cleanup")
        (morning,) = kk.runs.list(task="tokyo-morning")
        (schedule,) = kk.schedules.list(task="daily-cleanup")
        assert told(cleaned) == {"at": "2030-06-02T00:00:00+00:00", "zone": "UTC", "by": schedule.id}
        assert told(morning) == {"at": "2030-06-02T00:00:00+00:00", "zone": "Asia/Tokyo"}
        assert (schedule.type, schedule.cron) == ("DECLARATIVE", "0 0 * * *")


def test_a_schedule_for_each_user() -> None:
    with engine(now=datetime(2030, 6, 1, 6, tzinfo=UTC)) as eng:

        @kk.task
        async def reminder_task(payload: kk.ScheduledPayload) -> str | None:
            return payload.external_id

        for user_id in ("ada", "grace", "ada"):  # the second time it is the same schedule
            kk.schedules.create(
                task="reminder-task" if user_id == "grace" else reminder_task,
                cron="0 8 * * *",
                timezone="America/New_York",
                external_id=user_id,
                deduplication_key=f"{user_id}-daily",
            )
        eng.advance(days=2)

        runs = kk.runs.list(task="reminder-task")
        assert sorted(str(run.output) for run in runs) == ["ada", "ada", "grace", "grace"]
        assert {run.created_at.hour for run in runs} == {12}  # 8 in New York, in summer
