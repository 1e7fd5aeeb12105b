"""`cron=` and what goes with it: read, checked, and refused with words. For definitions of tasks and for schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from kernelkit.errors import InvalidOptionError
from kernelkit.models.schedule import MAX_CATCH_UP, CatchUp, Overlap, Timing

TIMING_OPTIONS = ("cron", "timezone", "catch_up", "max_catch_up", "overlap")
MOST_CATCH_UP = 1_000


def timing_of(given: Mapping[str, Any]) -> Timing | None:
    """The timing of a definition, None where it has no `cron`.

    Raises `InvalidCronError`, and `InvalidOptionError` for an unknown zone or policy.

    >>> timing_of({"cron": "0 9 * * *", "timezone": "Asia/Tokyo"}).timezone
    'Asia/Tokyo'
    """
    options = {name: given[name] for name in TIMING_OPTIONS if given.get(name) is not None}
    if not options:
        return None
    if "cron" not in options:
        raise InvalidOptionError(
            f'{next(iter(options))}= says when a schedule fires, but there is no cron=. Give cron="0 9 * * *" as well.',
            field="cron",
        )
    # The rooms of cron take a twentieth of a second to open, which a process without schedules need not wait for.
    from kernelkit.rules.cron import cron_of
    from kernelkit.rules.firing import check_timezone

    most = options.get("max_catch_up", MAX_CATCH_UP)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_CATCH_UP:
        raise InvalidOptionError(
            f"max_catch_up={most!r} is not a number of runs from 1 to {MOST_CATCH_UP:,}.", field="max_catch_up"
        )
    return Timing(
        cron=cron_of(options["cron"]).text,
        timezone=check_timezone(options.get("timezone", "UTC")),
        catch_up=_one_of("catch_up", options.get("catch_up", "latest"), get_args(CatchUp)),
        max_catch_up=most,
        overlap=_one_of("overlap", options.get("overlap", "queue"), get_args(Overlap)),
    )


def _one_of(name: str, given: object, known: tuple[str, ...]) -> Any:  # one of the words of its type
    if given not in known:
        raise InvalidOptionError(f"{name}={given!r} is unknown. Give one of {', '.join(known)}.", field=name)
    return given
