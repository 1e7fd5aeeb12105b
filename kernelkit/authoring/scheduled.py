"""`kk.ScheduledPayload`: what a scheduled run is given. A room of its own, as pydantic is opened with it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel


class ScheduledPayload(BaseModel):
    """What a run that a schedule started is given. Moments are aware, in UTC.

        @kk.schedules.task(cron="0 9 * * *", timezone="Asia/Tokyo")
        async def daily(payload: kk.ScheduledPayload):
            print(payload.local, payload.last_timestamp, payload.upcoming[0])

    To try the task out, `daily.trigger(timestamp=datetime.now(UTC))` is enough.
    """

    timestamp: AwareDatetime
    """The moment the run is meant for, however late it starts."""
    last_timestamp: AwareDatetime | None = None
    """That of the run before; None for the first."""
    timezone: str = "UTC"
    schedule_id: str = ""
    external_id: str | None = None
    """What you gave to `kk.schedules.create`, the id of a user for instance."""
    type: Literal["DECLARATIVE", "IMPERATIVE"] = "DECLARATIVE"
    upcoming: list[AwareDatetime] = []
    """The next ten moments."""

    @property
    def local(self) -> datetime:
        """`timestamp` in the schedule's time zone."""
        return self.timestamp.astimezone(ZoneInfo(self.timezone))
