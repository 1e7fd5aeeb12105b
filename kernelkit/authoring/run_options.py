"""Options of triggers: read, checked, and refused with words.

Everything a person may write after `.options(`, or in a `kk.Item`, passes through here once; what comes out is right
and is not checked again. What a newcomer would get wrong: a delay counts from when the engine takes the trigger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kernelkit import jsonvalues
from kernelkit.authoring.debounce import debounce_option
from kernelkit.authoring.idempotency import KeyOption, key_option, ttl_option
from kernelkit.authoring.options import (
    MAX_NAME,
    Queue,
    check_attempts,
    check_machine,
    check_max_duration,
    refuse_unknown,
)
from kernelkit.authoring.tags import new_tags
from kernelkit.clock import from_datetime
from kernelkit.durations import to_seconds, type_of_duration
from kernelkit.errors import InvalidDurationError, InvalidOptionError
from kernelkit.models.queue import RateLimit
from kernelkit.models.sameness import DebounceUse
from kernelkit.rules.limits import check_queue_name, check_text
from kernelkit.rules.metadata import check_object, encode_checked

RUN_OPTIONS = (
    "tags",
    "max_attempts",
    "metadata",
    "queue",
    "concurrency_key",
    "priority",
    "delay",
    "ttl",
    "max_duration",
    "test",
    "machine",
    "idempotency_key",
    "idempotency_key_ttl",
    "debounce",
    "allow_undefined",
)
LAST_YEAR = 9_000  # so that it has a date in every time zone
MAX_PRIORITY_S = 2_147_483.647  # Trigger.dev's, which counts milliseconds in 32 bits


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Checked options of one trigger."""

    tags: tuple[str, ...] = ()
    max_attempts: int | None = None
    metadata: str = "{}"  # JSON text
    queue: str = ""
    queue_limit: int | None = None
    queue_rate: RateLimit | None = None
    concurrency_key: str = ""
    priority: float = 0.0
    delay_s: float = 0.0
    delay_until: int = 0
    ttl: float | None = None
    max_duration: float | None = None
    is_test: bool = False
    allow_undefined: bool = False
    given: frozenset[str] = field(default=frozenset(), compare=False)
    """The fields that were named, whatever was said of them."""
    machine: str = ""
    idempotency_key: KeyOption | None = None
    idempotency_key_ttl: float | None = None
    debounce: DebounceUse | None = None

    def for_item(self, index: int, over: RunOptions) -> RunOptions:
        """For the item of a batch at this place: a key given to the batch becomes one of each item's own."""
        merged = self.merged(over)
        if self.idempotency_key is None or over.idempotency_key is not None:
            return merged
        return replace(merged, idempotency_key=self.idempotency_key.at(index))

    def merged(self, over: RunOptions) -> RunOptions:
        """These, with what `over` sets in their place."""
        if not over.given:
            return self
        values = {name: getattr(over, name) for name in over.given}
        return replace(self, **values, given=self.given | over.given)


NO_OPTIONS = RunOptions()


class Item:
    """One payload of a batch with options of its own.

        thumb.batch_trigger([{"url": a}, kk.Item({"url": b}, tags=["large"], max_attempts=1)])

    Raises `InvalidOptionError` for an option that `.options()` would refuse as well.
    """

    __slots__ = ("options", "payload")

    def __init__(
        self,
        payload: Any = None,  # whatever the task takes
        *,
        tags: str | Iterable[str] | None = None,
        max_attempts: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        **options: Any,  # any other option of a trigger
    ) -> None:
        self.payload = payload
        self.options = run_options(tags=tags, max_attempts=max_attempts, metadata=metadata, **options)

    def __repr__(self) -> str:
        return f"Item({self.payload!r})"


def run_options(**given: Any) -> RunOptions:
    """Options of a trigger; raises `InvalidOptionError` naming the one that will not do.

    >>> run_options(tags="user_1", max_attempts=1).tags
    ('user_1',)
    """
    if not given:
        return NO_OPTIONS
    refuse_unknown(given, RUN_OPTIONS, "a trigger")
    attempts = given.get("max_attempts")
    queue = given.get("queue")
    delay_s, delay_until = delay_of(given.get("delay"))
    return RunOptions(
        tags=new_tags(() if given.get("tags") is None else given["tags"]),
        max_attempts=None if attempts is None else check_attempts(attempts, "max_attempts"),
        metadata=_metadata(given.get("metadata")),
        queue="" if queue is None else queue.name if isinstance(queue, Queue) else check_queue_name(queue),
        queue_limit=queue.concurrency_limit if isinstance(queue, Queue) else None,
        queue_rate=queue.rate_limit if isinstance(queue, Queue) else None,
        concurrency_key=_concurrency_key(given.get("concurrency_key")),
        priority=_priority(given.get("priority")),
        delay_s=delay_s,
        delay_until=delay_until,
        ttl=None if given.get("ttl") is None else to_seconds(given["ttl"], field="ttl"),
        max_duration=check_max_duration(given.get("max_duration")),
        is_test=_flag(given, "test"),
        allow_undefined=_flag(given, "allow_undefined"),
        given=frozenset(
            name for option, value in given.items() if value is not None for name in _FIELDS.get(option, (option,))
        ),
        machine=check_machine(given.get("machine")),
        idempotency_key=key_option(given.get("idempotency_key")),
        idempotency_key_ttl=ttl_option(given.get("idempotency_key_ttl")),
        debounce=debounce_option(given.get("debounce")),
    )


_FIELDS = {"queue": ("queue", "queue_limit", "queue_rate"), "delay": ("delay_s", "delay_until"), "test": ("is_test",)}


def delay_of(given: Any) -> tuple[float, int]:
    """Seconds from now, or else a moment in UTC microseconds, of a `delay`; raises `InvalidDurationError`.

    >>> delay_of("10m"), delay_of("2027-01-01T00:00:00Z")
    ((600.0, 0), (0.0, 1798761600000000))
    """
    if given is None:
        return 0.0, 0
    moment = _moment(given)
    if moment is None:
        forms = f"{type_of_duration}, or a moment with its time zone: datetime(2027, 1, 1, tzinfo=UTC)"
        return to_seconds(given, field="delay", forms=forms), 0
    if moment.tzinfo is None:
        raise InvalidDurationError(
            f"delay={given!r} has no time zone. Give one, for instance datetime(2027, 1, 1, tzinfo=UTC).", field="delay"
        )
    if moment.year > LAST_YEAR:
        raise InvalidDurationError(f"delay={given!r} is later than the year {LAST_YEAR:,}.", field="delay")
    return 0.0, max(1, from_datetime(moment))  # 0 would be no delay, and before 1970 all moments are as past


def _moment(given: object) -> datetime | None:
    if isinstance(given, datetime):
        return given
    if isinstance(given, str):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(given)
    return None


def _concurrency_key(given: object) -> str:
    if given is None:
        return ""
    given = jsonvalues.plain_number(given)
    if isinstance(given, str | int) and not isinstance(given, bool) and 0 < len(str(given)) <= MAX_NAME:
        return check_text(str(given), "A concurrency_key")
    raise InvalidOptionError(
        f"concurrency_key={given!r} is not a text or whole number of 1 to {MAX_NAME} characters.",
        field="concurrency_key",
    )


def _priority(given: object) -> float:
    if given is None:
        return 0.0
    given = jsonvalues.plain_number(given)
    if isinstance(given, int | float) and not isinstance(given, bool) and abs(given) <= MAX_PRIORITY_S:
        return float(given)
    raise InvalidOptionError(
        f"priority={given!r} is not a number of seconds from -{MAX_PRIORITY_S:,} to {MAX_PRIORITY_S:,}. A run goes "
        "ahead of those that were triggered up to so many seconds before it.",
        field="priority",
    )


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = jsonvalues.plain_number(given.get(name))
    if value is None or isinstance(value, bool):
        return bool(value)
    raise InvalidOptionError(f"{name}={value!r} is not True or False.", field=name)


def _metadata(given: object) -> str:
    if given is None:
        return "{}"
    return encode_checked(jsonvalues.decode(jsonvalues.encode(check_object(given), what="the option metadata")))
