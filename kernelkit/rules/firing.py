"""When a schedule fires: local times of a cron expression as moments in UTC, also where clocks are set.

* Fixed times (`30 2 * * *`): a local time that is left out comes at the end of the gap, one that is repeated comes at
  its first occurrence only.
* All others (`*/30 * * * *`, `0 1-3 * * *`) mean what the clock shows: nothing in a gap, both hours of a repetition.

Moments are UTC microseconds, as everywhere inside. What a newcomer would get wrong: a *slot* is such a moment, the one
at which a run is meant to start, not the one at which it did.
"""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from kernelkit.clock import MICROS
from kernelkit.errors import InvalidOptionError
from kernelkit.rules.cron import FIRST_YEAR, LAST_YEAR, Cron, cron_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_MINUTE = date(1970, 1, 1).toordinal() * 1_440
_DAY = 86_400
_HALF_DAY = 43_200
_LOOK_BACK_S = (3_600, 26 * 3_600, 32 * 86_400, 366 * 86_400, 12 * 366 * 86_400, 140 * 366 * 86_400)


def next_slot(cron: str, timezone: str, after: int) -> int | None:
    """The first slot later than `after`; None when none is left (before 2100).

    Raises `InvalidCronError`, and `InvalidOptionError` for an unknown zone.

    >>> next_slot("@daily", "UTC", 0) // MICROS
    86400
    """
    seconds = _next_slot(cron, timezone, after // MICROS)
    return None if seconds is None else seconds * MICROS


def slots(cron: str, timezone: str, start: int, end: int | None = None) -> Iterator[int]:
    """The slots from `start` on, in order, to before `end`."""
    slot = next_slot(cron, timezone, start - 1)
    while slot is not None and (end is None or slot < end):
        yield slot
        slot = next_slot(cron, timezone, slot)


def last_slot(cron: str, timezone: str, until: int, *, since: int = 0) -> int | None:
    """The latest slot that is not after `until`, nor before `since`."""
    for back in _LOOK_BACK_S:
        start = max(since, until - back * MICROS)
        found = None
        for slot in slots(cron, timezone, start, until + 1):
            found = slot
        if found is not None or start == since:
            return found
    return None


def last_slots(cron: str, timezone: str, until: int, most: int, *, since: int) -> list[int]:
    """The latest `most` slots that are not after `until`, nor before `since`; oldest first."""
    for back in _LOOK_BACK_S:
        start = max(since, until - back * MICROS)
        if start == since or count_slots(cron, timezone, start, until + 1) >= most:
            return list(slots(cron, timezone, start, until + 1))[-most:]
    return list(slots(cron, timezone, since, until + 1))[-most:]


def count_slots(cron: str, timezone: str, start: int, end: int) -> int:
    """How many slots there are from `start` to before `end`, without walking through them where they are many."""
    compiled, zone = cron_of(cron), zone_of(timezone)
    if compiled.is_fixed:
        return sum(1 for _ in slots(cron, timezone, start, end))
    total = 0
    at, until = -(-start // MICROS), -(-end // MICROS)
    while at < until:
        offset = zone.offset(at)
        stop = min(until, zone.next_change(at, until) or until)
        total += compiled.count(_up(at + offset), _up(stop + offset))
        at = stop
    return total


def upcoming(cron: str, timezone: str, after: int, most: int) -> tuple[int, ...]:
    """The next slots behind `after`."""
    found: list[int] = []
    slot = next_slot(cron, timezone, after)
    while slot is not None and len(found) < most:
        found.append(slot)
        slot = next_slot(cron, timezone, slot)
    return tuple(found)


def check_timezone(name: object) -> str:
    """The name of an IANA time zone; raises `InvalidOptionError` with the nearest one.

    >>> check_timezone("Asia/Tokyo")
    'Asia/Tokyo'
    """
    if isinstance(name, str) and name in timezones():
        return name
    hint = ""
    if isinstance(name, str) and name:
        by_case = {known.lower(): known for known in timezones()}
        by_city = {known.rpartition("/")[2].lower(): known for known in sorted(timezones(), reverse=True)}
        wanted = name.lower().replace(" ", "_")
        for pool in (by_case, by_city):
            near = difflib.get_close_matches(wanted, pool, n=1, cutoff=0.75)
            if near:
                hint = f"Did you mean {pool[near[0]]!r}? "
                break
    raise InvalidOptionError(
        f"timezone={name!r} is not a time zone. {hint}Zones have IANA names such as 'Europe/Berlin'; "
        "kk.schedules.timezones() lists them.",
        field="timezone",
    )


@lru_cache(maxsize=1)
def timezones() -> frozenset[str]:
    """The names of all time zones this machine knows."""
    return frozenset(available_timezones() - {"Factory", "localtime"}) | {"UTC"}


# ---- zones -------------------------------------------------------------------------------------------------------


class Change(NamedTuple):
    """A moment at which a zone's clocks are set; offsets in seconds."""

    at: int
    before: int
    after: int


class Zone:
    """A time zone's offsets, in seconds; `zone_of` makes and keeps them."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            self._info = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            check_timezone(name)
            raise
        self._years: dict[int, tuple[Change, ...]] = {}
        self._stretch = (1, 0, 0)  # the last one asked for: from, to, and what clocks are ahead of UTC between

    def offset(self, at: int) -> int:
        """What clocks there are ahead of UTC at the moment `at`."""
        start, end, offset = self._stretch
        return offset if start <= at < end else self._look_up(at)

    def next_change(self, after: int, until: int) -> int | None:
        """The first moment later than `after` and not after `until` at which clocks are set."""
        start, end, _ = self._stretch
        if start <= after and until < end:
            return None
        for year in range(max(_year(after), FIRST_YEAR), min(_year(until), LAST_YEAR + 1) + 1):
            for change in self._changes(year):
                if change.at > after:
                    return change.at if change.at <= until else None
        return None

    def moment(self, local: int) -> int:
        """The moment of a local second: the first of two, or the end of the gap in which it would lie."""
        start, end, offset = self._stretch
        if start + _DAY <= local < end - _DAY:
            return local - offset
        year = _year(local)
        for change in (*self._changes(year - 1)[-1:], *self._changes(year), *self._changes(year + 1)[:1]):
            if change.after > change.before and change.at + change.before <= local < change.at + change.after:
                return change.at
            if change.after < change.before and change.at + change.after <= local < change.at + change.before:
                return local - change.before
        return local - self.offset(local - self.offset(local))

    def _look_up(self, at: int) -> int:
        year = _year(at)
        if not FIRST_YEAR <= year <= LAST_YEAR:
            return self._ask(at)
        start, end = _start_of(year), _start_of(year + 1)
        offset = self._ask(start)
        for change in self._changes(year):
            if change.at > at:
                end = change.at
                break
            start, offset = change.at, change.after
        self._stretch = (start, end, offset)
        return offset

    def _ask(self, at: int) -> int:
        offset = (_EPOCH + timedelta(0, at)).astimezone(self._info).utcoffset()
        assert offset is not None, "an aware datetime has one"
        return offset.days * _DAY + offset.seconds

    def _changes(self, year: int) -> tuple[Change, ...]:
        found = self._years.get(year)
        if found is None:
            found = self._years[year] = tuple(self._look_for_changes(year))
        return found

    def _look_for_changes(self, year: int) -> Iterator[Change]:
        start, end = _start_of(year), _start_of(year + 1)
        known = self._ask(start)
        for at in range(start, end, _HALF_DAY):
            now = self._ask(min(at + _HALF_DAY, end))
            if now != known:
                places = range(at, min(at + _HALF_DAY, end) + 1)
                place = bisect.bisect_left(places, True, key=lambda second: self._ask(second) == now)
                yield Change(places[place], known, now)
                known = now


@lru_cache(maxsize=1_024)
def zone_of(name: str) -> Zone:
    return Zone(name)


@lru_cache(maxsize=131_072)
def _next_slot(cron: str, timezone: str, after: int) -> int | None:
    """As `next_slot`, in seconds; kept, as a schedule asks for the same ones again while it tells what is upcoming."""
    compiled, zone = cron_of(cron), zone_of(timezone)
    return _fixed(compiled, zone, after) if compiled.is_fixed else _by_the_clock(compiled, zone, after)


def _fixed(cron: Cron, zone: Zone, after: int) -> int | None:
    start = (after + zone.offset(after)) // 60 + _EPOCH_MINUTE
    while True:
        minute = cron.next(start)
        if minute is None:
            return None
        moment = zone.moment((minute - _EPOCH_MINUTE) * 60)
        if moment > after:
            return moment
        start = minute + 1


def _by_the_clock(cron: Cron, zone: Zone, after: int) -> int | None:
    at = after + 1
    while True:
        offset = zone.offset(at)
        minute = cron.next(_up(at + offset))
        if minute is None:
            return None
        moment = (minute - _EPOCH_MINUTE) * 60 - offset
        change = zone.next_change(at, moment)
        if change is None:
            return moment
        at = change


def _up(local: int) -> int:
    """The first whole minute that is not before a local second, as `Cron` counts them."""
    return -(-local // 60) + _EPOCH_MINUTE


@lru_cache(maxsize=512)
def _start_of(year: int) -> int:
    return (date(year, 1, 1).toordinal() * 1_440 - _EPOCH_MINUTE) * 60


def _year(at: int) -> int:
    return (_EPOCH + timedelta(0, at)).year
