"""Schedules: by definition and by call, what their runs are given, and what becomes of slots that cannot be kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine, engine
from tests.behaviour.conftest import Stage

NOON = datetime(2027, 1, 4, 12, tzinfo=UTC)  # a Monday


def outputs(task: str) -> list[Any]:
    """What the runs of a task returned, oldest first."""
    return [kk.runs.retrieve(run.id).output for run in reversed(kk.runs.list(task=task, limit=100).runs)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2027-01-{text}+00:00")


# ---- on both engines -----------------------------------------------------------------------------------------------


def test_32_1_a_scheduled_run_knows_its_schedule_and_moment(stage: Stage) -> None:
    @kk.schedules.task(id="tell-moment", cron="0 0 1 1 *", timezone="Asia/Tokyo")
    async def tell(payload: kk.ScheduledPayload) -> dict[str, Any]:
        return {"local": payload.local.strftime("%z"), **payload.model_dump(mode="json")}

    tell.register()
    (schedule,) = kk.schedules.list(task=tell)
    run = schedule.run_now()
    output = run.result(timeout=20).unwrap()

    assert (output["schedule_id"], output["timezone"], output["type"]) == (schedule.id, "Asia/Tokyo", "DECLARATIVE")
    assert output["local"] == "+0900"
    assert len(output["upcoming"]) == 10
    assert output["upcoming"][0] == schedule.next_run.isoformat().replace("+00:00", "Z")  # type: ignore[union-attr]
    assert run.refresh().schedule_id == schedule.id
    assert [one.id for one in schedule.runs()] == [run.id]


def test_32_3_a_definition_makes_changes_and_removes_its_schedule(stage: Stage) -> None:
    def define(**options: Any) -> kk.Task[..., Any]:
        async def nightly() -> None: ...

        made: kk.Task[..., Any] = kk.task(id="nightly-job", **options)(nightly)
        made.register()
        return made

    define(cron="0 3 * * *")
    (first,) = kk.schedules.list(task="nightly-job")
    assert (first.type, first.cron, first.timezone, first.active) == ("DECLARATIVE", "0 3 * * *", "UTC", True)

    define(cron="0 4 * * *", timezone="Europe/London", overlap="skip")
    (second,) = kk.schedules.list(task="nightly-job")
    assert (second.id, second.cron, second.timezone, second.overlap) == (first.id, "0 4 * * *", "Europe/London", "skip")

    with pytest.raises(kk.InvalidOptionError, match="comes from the definition of 'nightly-job'"):
        second.update(cron="0 5 * * *")
    assert not second.deactivate().active
    define(cron="0 5 * * *")
    assert not kk.schedules.retrieve(first.id).active, "what was turned off stays off"

    define()
    assert len(kk.schedules.list(task="nightly-job")) == 0


def test_32_4_schedules_are_created_changed_and_deleted_by_call(stage: Stage) -> None:
    @kk.task(id="reminder")
    async def remind(payload: dict[str, Any]) -> str:
        return str(payload["external_id"])

    made = kk.schedules.create(
        task=remind, cron="0 8 * * *", timezone="America/New_York", external_id="u1", deduplication_key="u1-daily"
    )
    again = kk.schedules.create(task="reminder", cron="30 8 * * *", external_id="u1", deduplication_key="u1-daily")
    other = kk.schedules.create(task=remind, cron="@daily", deduplication_key="u2-daily")

    assert (again.id, again.cron, again.timezone) == (made.id, "30 8 * * *", "UTC")
    assert made.description == "At 08:00"
    assert {one.id for one in kk.schedules.list(task="reminder")} == {made.id, other.id}
    assert [one.id for one in kk.schedules.list(external_id="u1")] == [made.id]
    changed = kk.schedules.update(made.id, timezone="Asia/Tokyo")
    assert (changed.cron, changed.timezone, changed.external_id) == ("30 8 * * *", "Asia/Tokyo", "u1")
    assert kk.schedules.update(made.id, external_id=None).external_id is None
    assert kk.schedules.deactivate(made.id).next_run is None
    assert kk.schedules.activate(made).next_run == changed.next_run
    assert kk.schedules.run_now(kk.schedules.update(made.id, external_id="u7").id).result(timeout=20).unwrap() == "u7"

    made.delete()
    other.delete()
    with pytest.raises(kk.UnknownScheduleError, match=made.id):
        kk.schedules.retrieve(made.id)
    with pytest.raises(kk.UnknownScheduleError):
        kk.schedules.delete(made.id)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"cron": "* * * * * *"}, kk.InvalidCronError, "it has 6 fields"),
        ({"cron": "0 0 30 2 *"}, kk.InvalidCronError, "no such day ever comes"),
        ({"cron": None}, kk.InvalidCronError, "no text of five fields"),
        ({"timezone": "Asia/Tokio"}, kk.InvalidOptionError, "Did you mean 'Asia/Tokyo'"),
        ({"task": "remindr"}, kk.UnknownTaskError, "no task 'remindr' to schedule"),
        ({"task": "needs-url"}, kk.InvalidOptionError, "it needs 'url', which a schedule does not give"),
        ({"task": "takes-a-number"}, kk.InvalidOptionError, "its payload is no object of fields"),
        ({"task": 3}, kk.InvalidOptionError, "neither a task nor the id of one"),
        ({"catch_up": "some"}, kk.InvalidOptionError, "Give one of latest, skip, all"),
        ({"max_catch_up": 0}, kk.InvalidOptionError, "from 1 to 1,000"),
        ({"overlap": "never"}, kk.InvalidOptionError, "Give one of queue, skip"),
        ({"deduplication_key": ""}, kk.InvalidOptionError, "not a text of 1 to 512"),
        ({"external_id": 7}, kk.InvalidOptionError, "not a text of 1 to 512"),
    ],
)
def test_32_4_what_will_not_do_is_refused_and_nothing_stored(
    stage: Stage, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    @kk.task(id="needs-url")
    async def needs(url: str) -> None: ...

    @kk.task(id="takes-a-number")
    async def number(payload: int) -> None: ...

    for task in (needs, number):
        task.register()
    before = len(kk.schedules.list())

    with pytest.raises(error, match=words):
        kk.schedules.create(**{"task": "needs-url", "cron": "@daily", "deduplication_key": "x", **options})

    assert len(kk.schedules.list()) == before


def test_32_scheduled_tasks_may_leave_the_payload_out_or_take_parts_of_it(stage: Stage) -> None:
    @kk.schedules.task(id="takes-nothing", cron="@daily")
    def nothing() -> str:
        return "done"

    @kk.schedules.task(id="takes-parts", cron="@daily")
    async def parts(timestamp: datetime, region: str = "EU", *, ctx: kk.Context) -> str:
        return f"{timestamp:%z} {region} {ctx.run.id[:4]}"

    for task in (nothing, parts):
        task.register()
    runs = [kk.schedules.list(task=task)[0].run_now() for task in (nothing, parts)]

    assert [run.result(timeout=20).unwrap() for run in runs] == ["done", "+0000 EU run_"]
    with pytest.raises(kk.TaskDefinitionError, match="'url', which a schedule does not give"):

        @kk.task(cron="@daily")
        async def needs(url: str) -> None: ...


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cron": "@reboot"}, "the names are @hourly"),
        ({"timezone": "UTC"}, "timezone= says when a schedule fires, but there is no cron="),
        ({"cron": "@daily", "timezone": "Berlin"}, "Did you mean 'Europe/Berlin'"),
        ({"cron": "@daily", "overlap": True}, "overlap=True is unknown"),
    ],
)
def test_32_2_a_wrong_option_is_refused_at_the_definition(options: dict[str, Any], words: str) -> None:
    with pytest.raises(kk.InvalidOptionError, match=words):
        kk.task(**options)


# ---- in virtual time -----------------------------------------------------------------------------------------------


def _at(**options: Any) -> Any:
    return engine(now=NOON, **options)


def test_32_10_slots_fire_in_order_and_know_the_one_before() -> None:
    with _at() as eng:

        @kk.schedules.task(id="every-hour", cron="0 * * * *")
        async def hourly(payload: kk.ScheduledPayload) -> list[datetime | None]:
            return [payload.timestamp, payload.last_timestamp, payload.upcoming[0]]

        hourly.register()
        eng.advance(hours=2.5)

        assert outputs("every-hour") == [
            ["2027-01-04T13:00:00Z", None, "2027-01-04T14:00:00Z"],
            ["2027-01-04T14:00:00Z", "2027-01-04T13:00:00Z", "2027-01-04T15:00:00Z"],
        ]
        (schedule,) = kk.schedules.list(task="every-hour")
        assert (schedule.fired, schedule.missed_count, schedule.last_status) == (2, 0, "COMPLETED")
        assert (schedule.last_run, schedule.next_run) == (at("04T14:00"), at("04T15:00"))
        run = kk.runs.retrieve(schedule.last_run_id or "")
        assert run.created_at == at("04T14:00")


def test_32_2_a_day_of_new_york_with_its_gap_and_its_repetition() -> None:
    for day in ("2026-03-08", "2026-11-01"):
        with engine(now=datetime.fromisoformat(f"{day}T04:30:00+00:00")) as eng:

            @kk.task(id="half-past", cron="30 1-3 * * *", timezone="America/New_York")
            async def clock(timestamp: datetime) -> str:
                return f"{timestamp:%H:%M}"

            @kk.task(id="fixed", cron="30 2 * * *", timezone="America/New_York")
            async def fixed(timestamp: datetime) -> str:
                return f"{timestamp:%H:%M}"

            for task in (clock, fixed):
                task.register()
            eng.advance(hours=7)

            if day == "2026-03-08":  # 02:30 does not come; a fixed time comes at the end of the gap
                assert (outputs("half-past"), outputs("fixed")) == (["06:30", "07:30"], ["07:00"])
            else:
                assert (outputs("half-past"), outputs("fixed")) == (["05:30", "06:30", "07:30", "08:30"], ["07:30"])


def test_32_7_a_schedule_that_is_off_fires_nothing_and_makes_up_for_nothing() -> None:
    with _at() as eng:

        @kk.task(id="switched", cron="0 * * * *")
        async def switched() -> None: ...

        switched.register()
        (schedule,) = kk.schedules.list(task=switched)
        schedule.deactivate()
        eng.advance(hours=5)
        assert outputs("switched") == []

        assert schedule.activate().next_run == at("04T18:00")
        eng.advance(hours=1)
        assert outputs("switched") == [None]
        assert kk.schedules.retrieve(schedule.id).missed_count == 0


def asleep(home: Path, away: timedelta, define: Callable[[], kk.Task[..., Any]]) -> kk.Schedule:
    """The schedule of a task after its engine was gone for a while."""
    with _at(home=home) as eng:
        define().register()
        eng.advance(hours=1)
    with engine(now=NOON + timedelta(hours=1) + away, home=home) as eng:
        eng.drain()
        (schedule,) = kk.schedules.list(task="asleep")
        page = kk.runs.list(task="asleep", limit=100)
        kept = [kk.runs.retrieve(run.id).output for run in page.runs]
        assert kept == sorted(kept, reverse=True)
        assert page.total == schedule.fired
        return schedule


@pytest.mark.parametrize(
    ("options", "fired", "missed"),
    [
        ({}, 2, 167),
        ({"catch_up": "skip"}, 1, 168),
        ({"catch_up": "all"}, 101, 68),
        ({"catch_up": "all", "max_catch_up": 1_000}, 169, 0),
    ],
)
def test_32_8_a_laptop_asleep_for_a_week(tmp_path: Path, options: Any, fired: int, missed: int) -> None:
    def define() -> kk.Task[..., Any]:
        @kk.task(id="asleep", cron="0 * * * *", **options)
        async def asleep(timestamp: datetime) -> datetime:
            return timestamp

        return asleep

    schedule = asleep(tmp_path, timedelta(days=7, minutes=20), define)

    assert (schedule.fired, schedule.missed_count) == (fired, missed)
    assert schedule.next_run == at("11T14:00")
    if missed:
        assert schedule.missed[-1].count == missed
        assert schedule.missed[-1].first == at("04T14:00")
        assert schedule.missed[-1].reason == "no engine was running"
    assert len(schedule.preview(start=at("04T14:00"), end=at("11T14:00"))) == 168


def test_32_8_a_slot_that_is_seconds_late_is_on_time_whatever_the_policy(tmp_path: Path) -> None:
    def define() -> kk.Task[..., Any]:
        @kk.task(id="asleep", cron="0 * * * *", catch_up="skip")
        async def asleep(timestamp: datetime) -> datetime:
            return timestamp

        return asleep

    schedule = asleep(tmp_path, timedelta(hours=1, seconds=30), define)

    assert (schedule.fired, schedule.missed_count) == (2, 0)


@pytest.mark.parametrize(("overlap", "fired"), [("queue", 5), ("skip", 3)])
def test_32_9_a_run_that_goes_on_when_the_next_slot_comes(overlap: Any, fired: int) -> None:
    with _at() as eng:

        @kk.task(id="slow-one", cron="* * * * *", overlap=overlap)
        async def slow() -> None:
            await asyncio.sleep(90)

        slow.register()
        eng.advance(minutes=5, seconds=1)

        (schedule,) = kk.schedules.list(task=slow)
        assert schedule.fired == fired
        assert schedule.missed_count == 5 - fired
        if overlap == "skip":
            assert schedule.missed[-1].reason == "the run before was still going on"


def test_32_many_schedules_of_one_task_fire_at_the_same_moment() -> None:
    with _at() as eng:

        @kk.task(id="per-user")
        async def per_user(external_id: str) -> str:
            return external_id

        per_user.register()
        for number in range(250):
            kk.schedules.create(
                task=per_user, cron="0 13 * * *", external_id=f"u{number:03}", deduplication_key=f"k{number}"
            )
        eng.advance(hours=1, minutes=1)

        assert kk.runs.list(task="per-user", limit=1).total == 250
        assert all(schedule.fired == 1 for schedule in kk.schedules.list(task=per_user))


def test_32_preview_tells_past_and_future_without_an_engine() -> None:
    future = kk.schedules.preview("0 9 * * 1-5", "Europe/Berlin", 2, start=NOON)
    past = kk.schedules.preview("@daily", start=NOON - timedelta(days=3), end=NOON)

    assert [f"{moment:%a %H:%M %z}" for moment in future] == ["Tue 09:00 +0100", "Wed 09:00 +0100"]
    assert [moment.day for moment in past] == [2, 3, 4]
    with pytest.raises(kk.InvalidOptionError, match="not a datetime with a time zone"):
        kk.schedules.preview("@daily", start=datetime(2027, 1, 1))
    with pytest.raises(kk.InvalidOptionError, match="n=-1"):
        kk.schedules.preview("@daily", n=-1)


def test_32_schedules_outlive_the_process_that_defined_them(tmp_path: Path) -> None:
    with engine(home=tmp_path, real_time=True, workers=1):

        @kk.task(id="kept", cron="0 0 1 1 *", timezone="Asia/Kathmandu", catch_up="all", max_catch_up=7)
        async def kept() -> None: ...

        kept.register()
        (before,) = kk.schedules.list(task=kept)
    with engine(home=tmp_path, real_time=True, workers=1) as eng:
        assert not isinstance(eng, VirtualEngine)
        (after,) = kk.schedules.list(task="kept")

    assert after == before
    assert (after.catch_up, after.max_catch_up) == ("all", 7)
