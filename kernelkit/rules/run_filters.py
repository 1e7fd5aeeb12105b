"""Reads the filters of runs as people give them, and says them again in words.

`kk.runs.list`, bulk actions, `%runs`, `kernelkit runs` and `kernelkit export` all come through `read_filter`, so a
filter that one of them knows all of them know, and a wrong one is refused with the same words everywhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kernelkit.clock import from_datetime, to_datetime
from kernelkit.durations import to_seconds
from kernelkit.errors import InvalidOptionError
from kernelkit.models.filter import RunFilter
from kernelkit.models.machine import PRESETS
from kernelkit.models.run import RunStatus
from kernelkit.rules.limits import check_text

FILTERS = (
    "status",
    "task",
    "tag",
    "queue",
    "batch",
    "schedule",
    "machine",
    "version",
    "parent",
    "root",
    "is_test",
    "created_from",
    "created_to",
    "period",
    "search",
)
"""Names of the filters of runs, in the order in which they are told."""

LISTS = ("status", "task", "tag", "queue", "batch", "schedule", "machine", "version", "parent", "root")
"""Those that take one value or several."""


def read_filter(given: Mapping[str, Any], whose: str, *, others: Sequence[str] = ()) -> RunFilter:
    """The filter that these keywords mean; None and () are as if not given.

    Raises `InvalidOptionError` for unknown names (`others` are further options of `whose`, for its words) and values
    that cannot match anything: a status or machine that does not exist, a moment without a time zone.

    >>> asked = read_filter({"status": "failed", "period": "2h"}, "kk.runs.list")
    >>> asked.status, asked.period_s
    (('FAILED',), 7200.0)
    """
    for name in given:
        if name not in FILTERS:
            raise _unknown(name, whose, (*FILTERS, *others))
    wanted = {name: value for name, value in given.items() if value is not None and value != ""}
    fields: dict[str, Any] = {name: _values(wanted[name], name) for name in LISTS if name in wanted}
    for name in ("created_from", "created_to"):
        if name in wanted:
            fields[name] = from_datetime(_moment(wanted[name], name))
    if "is_test" in wanted:
        fields["is_test"] = _truth(wanted["is_test"])
    if "period" in wanted:
        if "created_from" in wanted:
            raise InvalidOptionError(
                "period and created_from both say when to begin; give one of them.", field="period"
            )
        fields["period_s"] = to_seconds(wanted["period"], field="period")
        if not fields["period_s"]:
            raise InvalidOptionError("period=0 matches nothing; leave it out for all runs.", field="period")
    if "search" in wanted:
        fields["search"] = _searched(wanted["search"])
    if 0 < fields.get("created_to", 0) <= fields.get("created_from", 0):
        raise InvalidOptionError("created_to is not later than created_from, so nothing can match.", field="created_to")
    return RunFilter(**fields)


def in_words(asked: RunFilter) -> str:
    """What the filter asks for, for a caption; empty where it asks for nothing.

    >>> in_words(RunFilter(status=("FAILED", "CRASHED"), task=("resize",), is_test=False))
    'status failed or crashed, task resize, no test'
    """
    told = []
    for name in LISTS:
        values: tuple[str, ...] = getattr(asked, name)
        if values:
            told.append(f"{name} {' or '.join(value.lower() if name == 'status' else value for value in values)}")
    if asked.all_tags:
        told.append(f"tag {' and '.join(asked.all_tags)}")
    if asked.search:
        told.append(f"“{asked.search}” in it")
    if asked.is_test is not None:
        told.append("test" if asked.is_test else "no test")
    if asked.period_s:
        told.append(f"created in the last {asked.period_s:g} s")
    for word, micros in (("created from", asked.created_from), ("created before", asked.created_to)):
        if micros:
            told.append(f"{word} {to_datetime(micros):%Y-%m-%d %H:%M:%S} UTC")
    return ", ".join(told)


def name_of(given: object, field: str) -> str:
    """The id or name that `given` is or has; raises `InvalidOptionError`."""
    if isinstance(given, str) and given:
        return check_text(given, field)
    named = getattr(given, "name" if field in ("queue", "machine") else "id", None)
    if isinstance(named, str) and named:
        return named
    raise InvalidOptionError(f"{field}={given!r} is neither an id nor has one.", field=field)


def _values(given: object, field: str) -> tuple[str, ...]:
    several = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    if not several and isinstance(given, Iterable):
        return ()
    match field:
        case "status":
            return tuple(dict.fromkeys(_one_of(one, field, RunStatus.__members__, str.upper) for one in several))
        case "machine":
            names = [name_of(one, field) for one in several]
            return tuple(dict.fromkeys(_one_of(one, field, PRESETS, str.lower) for one in names))
        case _:
            return tuple(dict.fromkeys(name_of(one, field) for one in several))


def _one_of(given: object, field: str, known: Iterable[str], spelled: Any) -> str:  # spelled: str.upper or str.lower
    wanted: str = spelled(str(given))
    if wanted in known:
        return wanted
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise InvalidOptionError(
        f"{field}={given!r} is no {field}. {hint}They are {', '.join(known)}.", field=field, near=near
    )


def _searched(given: object) -> str:
    text = given.strip() if isinstance(given, str) else ""
    if not text:
        raise InvalidOptionError(f"search={given!r} is no text to look for.", field="search")
    return check_text(text, "search")


def _moment(given: object, field: str) -> datetime:
    moment = given
    if isinstance(given, str):
        try:
            moment = datetime.fromisoformat(given)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise InvalidOptionError(
            f"{field}={given!r} is no moment. Give an aware datetime, or text such as '2027-01-01T09:00Z'.", field=field
        )
    if moment.tzinfo is None:
        raise InvalidOptionError(
            f"{field}={given!r} has no time zone. Give one, for instance datetime(2027, 1, 1, tzinfo=UTC) or "
            "'2027-01-01T00:00Z'.",
            field=field,
        )
    return moment.astimezone(UTC)


def _truth(given: object) -> bool:
    match given.lower() if isinstance(given, str) else given:
        case True | "true" | "yes":
            return True
        case False | "false" | "no":
            return False
        case _:
            raise InvalidOptionError(f"is_test={given!r} is neither True nor False.", field="is_test")


def _unknown(name: str, whose: str, known: Sequence[str]) -> InvalidOptionError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return InvalidOptionError(
        f"{name!r} is not an option of {whose}. {hint}Its options are: {', '.join(known)}.", field=name, near=near
    )
