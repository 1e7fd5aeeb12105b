"""Options of tasks: read, checked, and refused with words. Those of triggers: `run_options.py`.

Everything a person may write after `@kk.task(` passes through here once; what comes out is right and is not checked
again. What a newcomer would get wrong: `retry=None` means one attempt, leaving `retry` out means three.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Never, TypeVar, cast, get_args

from kernelkit.authoring.hooks import KINDS
from kernelkit.authoring.tags import new_tags
from kernelkit.authoring.timing import TIMING_OPTIONS, timing_of
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidDurationError, InvalidOptionError, TaskDefinitionError
from kernelkit.jsonvalues import plain_number
from kernelkit.models.machine import check_preset
from kernelkit.models.queue import RateLimit
from kernelkit.models.schedule import Timing
from kernelkit.models.task import MAX_ATTEMPTS, ONE_ATTEMPT, Isolation, LogLevel, RetryPolicy
from kernelkit.rules.limits import MAX_CONCURRENCY, check_queue_name, check_text
from kernelkit.rules.rate import check_rate

T = TypeVar("T")

MAX_FACTOR = 10  # 10 ** 249 is still a float
MAX_NAME = 128

TASK_OPTIONS = (
    "id",
    "description",
    "queue",
    "concurrency_limit",
    "rate_limit",
    "retry",
    "retries",
    "tags",
    "isolation",
    "machine",
    "log_level",
    *TIMING_OPTIONS,
    "replace",
    "ttl",
    "max_duration",
)

RETRY_FIELDS = ("max_attempts", "factor", "min_timeout", "max_timeout", "randomize", "on_out_of_memory")

_ID = re.compile(r"[^\W_][\w./:-]*")


class _Default:
    """Marks an option that was not given, where None has a meaning of its own."""

    def __repr__(self) -> str:
        return "<the default>"


DEFAULT: Final = _Default()


class NoTimeout:
    """`kk.NO_TIMEOUT`: an attempt may take as long as it wants, whatever the task's default says."""

    def __repr__(self) -> str:
        return "kk.NO_TIMEOUT"


NO_TIMEOUT: Final = NoTimeout()


class Retry:
    """How often and when a failed attempt is followed by another.

    The wait before attempt n+1 is `min_timeout * factor ** (n - 1)`, lengthened by chance up to the double
    (`randomize`), and never over `max_timeout`. `max_attempts` counts the first attempt.

    `on_out_of_memory` is the machine preset on which a run is tried again that needed more memory than it may use, and
    which it keeps; without it such a run is not tried again, whatever the rest says.

    >>> Retry(max_attempts=5, min_timeout="2s", max_timeout="5m")
    Retry(max_attempts=5, factor=2.0, min_timeout=2.0, max_timeout=300.0, randomize=True)
    """

    __slots__ = ("policy",)

    policy: RetryPolicy

    def __init__(
        self,
        *,
        max_attempts: int = 3,
        factor: float = 2.0,
        min_timeout: Duration = 1.0,
        max_timeout: Duration = 60.0,
        randomize: bool = True,
        on_out_of_memory: str | None = None,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, RETRY_FIELDS, "kk.Retry")
        low = to_seconds(min_timeout, field="min_timeout")
        high = to_seconds(max_timeout, field="max_timeout")
        factor, randomize = plain_number(factor), plain_number(randomize)
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= MAX_FACTOR:
            raise InvalidOptionError(f"factor={factor!r} is not a number from 1 to {MAX_FACTOR}.", field="factor")
        if high < low:
            raise InvalidOptionError(
                f"max_timeout={max_timeout!r} is shorter than min_timeout={min_timeout!r}. Give a longer max_timeout.",
                field="max_timeout",
            )
        if not isinstance(randomize, bool):
            raise InvalidOptionError(f"randomize={randomize!r} is not True or False.", field="randomize")
        self.policy = RetryPolicy(
            max_attempts=check_attempts(max_attempts, "max_attempts"),
            factor=float(factor),
            min_timeout=low,
            max_timeout=high,
            randomize=randomize,
            on_out_of_memory="" if on_out_of_memory is None else check_preset(on_out_of_memory, "on_out_of_memory"),
        )

    def __repr__(self) -> str:
        return repr(self.policy).replace("RetryPolicy", "Retry").replace(", on_out_of_memory=''", "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Retry) and self.policy == other.policy

    def __hash__(self) -> int:
        return hash(self.policy)


class Queue:
    """A queue by name, which tasks may share.

    `concurrency_limit` is how many of its runs execute at once (0 to 100,000), `rate_limit` how many attempts may start
    in a second, minute, hour or day: "10/s", "100/m", "1000/h", "5000/d". What is left out stays as it is. Raises
    `InvalidOptionError`.

    >>> Queue("images", concurrency_limit=5, rate_limit="100/m")
    Queue('images', concurrency_limit=5, rate_limit='100/m')
    """

    __slots__ = ("concurrency_limit", "name", "rate_limit")

    def __init__(
        self, name: str, *, concurrency_limit: int | None = None, rate_limit: str | None = None, **unknown: Never
    ) -> None:
        refuse_unknown(unknown, ("name", "concurrency_limit", "rate_limit"), "kk.Queue")
        self.name = check_queue_name(name)
        self.concurrency_limit = check_limit(concurrency_limit)
        self.rate_limit = check_rate(rate_limit)

    def __repr__(self) -> str:
        limit = "" if self.concurrency_limit is None else f", concurrency_limit={self.concurrency_limit}"
        rate = "" if self.rate_limit is None else f", rate_limit={str(self.rate_limit)!r}"
        return f"Queue({self.name!r}{limit}{rate})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Queue) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Checked options of a task."""

    id: str
    explicit_id: bool
    description: str
    queue: str
    concurrency_limit: int | None
    rate_limit: RateLimit | None
    retry: RetryPolicy
    tags: tuple[str, ...]
    isolation: Isolation | None  # None: as the function asks, async shared and plain a process
    replace: bool
    ttl: float
    max_duration: float
    machine: str = ""
    log_level: LogLevel = "info"
    timing: Timing | None = None


def task_options(function: str, given: Mapping[str, Any]) -> TaskOptions:
    """Options of the task made from a function of that name; raises `InvalidOptionError` naming the wrong one."""
    refuse_unknown(given, (*TASK_OPTIONS, *KINDS), "a task")
    queue = given.get("queue")
    limit, rate = check_limit(given.get("concurrency_limit")), check_rate(given.get("rate_limit"))
    if isinstance(queue, Queue):
        limit = _said_once(queue, "concurrency_limit", queue.concurrency_limit, limit)
        rate = _said_once(queue, "rate_limit", queue.rate_limit, rate)
        queue = queue.name
    explicit = given.get("id") is not None
    isolation = given.get("isolation")
    machine = check_machine(given.get("machine"))
    if isolation is not None and isolation not in get_args(Isolation):
        raise InvalidOptionError(
            f"isolation={isolation!r} is unknown. Give 'process' (a worker process of its own) or 'shared'.",
            field="isolation",
        )
    if machine and isolation == "shared":
        raise InvalidOptionError(
            f"machine={machine!r} and isolation='shared' contradict each other: memory is capped for a process, so a "
            "task with a machine has one of its own. Leave isolation out, or give machine=None.",
            field="isolation",
        )
    for name, kind, words in (("description", str, "text"), ("replace", bool, "True or False")):
        if given.get(name) is not None and not isinstance(given[name], kind):
            raise InvalidOptionError(f"{name}={given[name]!r} is not {words}.", field=name)
    check_text(given.get("description") or "", "A description")
    return TaskOptions(
        id=check_id(given["id"] if explicit else _id_of(function)),
        explicit_id=explicit,
        description=given.get("description") or "",
        queue="" if queue is None else check_queue_name(queue),
        concurrency_limit=limit,
        rate_limit=rate,
        retry=_retry(given.get("retry", DEFAULT), given.get("retries")),
        tags=new_tags(() if given.get("tags") is None else given["tags"]),
        isolation=isolation,
        replace=bool(given.get("replace")),
        ttl=0.0 if given.get("ttl") is None else to_seconds(given["ttl"], field="ttl"),
        max_duration=check_max_duration(given.get("max_duration")) or 0.0,
        machine=machine,
        log_level=check_log_level(given.get("log_level")),
        timing=timing_of(given),
    )


def _id_of(function: str) -> str:
    found = function.strip("_").replace("_", "-")
    if found in ("", "<lambda>"):
        raise TaskDefinitionError("This function has no name to make a task id of. Give it one, or pass id='…'.")
    return found


def _said_once(queue: Queue, field: str, its: T | None, given: T | None) -> T | None:
    """What the queue or else the option of that name says; raises `InvalidOptionError` where they differ."""
    if given is not None and its not in (None, given):
        raise InvalidOptionError(
            f"queue={queue!r} and {field}={given if isinstance(given, int) else str(given)!r} contradict each other. "
            "Give one.",
            field=field,
        )
    return its if given is None else given


def refuse_unknown(given: Iterable[str], known: tuple[str, ...], whose: str) -> None:
    """Raise `InvalidOptionError` for the first name in `given` that is not `known`, with its nearest neighbour."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise InvalidOptionError(
                f"{name!r} is not an option of {whose}. {hint}Its options are: {', '.join(known)}.",
                field=name,
                near=near,
            )


def check_id(given: object) -> str:
    """A task's id; raises `InvalidOptionError`."""
    if isinstance(given, str) and len(given) <= MAX_NAME and _ID.fullmatch(given):
        return given
    if isinstance(named := getattr(given, "id", None), str):  # a task, where its id belongs
        raise InvalidOptionError(f"id={given!r} is a task. Give its id, {named!r}, or trigger it itself.", field="id")
    raise InvalidOptionError(
        f"id={given!r} is not a task id. It starts with a letter or digit and goes on with letters, digits "
        f"and - _ . / : up to {MAX_NAME} characters.",
        field="id",
    )


def check_attempts(given: object, field: str) -> int:
    """A number of attempts, the first included; raises `InvalidOptionError`."""
    given = plain_number(given)
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MAX_ATTEMPTS:
        return given
    raise InvalidOptionError(
        f"{field}={given!r} is not a whole number from 1 to {MAX_ATTEMPTS}. "
        "It counts the first attempt; 1 means no retry.",
        field=field,
    )


def check_limit(given: object) -> int | None:
    """How many runs of a queue execute at once, None for no limit; raises `InvalidOptionError`."""
    given = plain_number(given)
    if given is None:
        return None
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= MAX_CONCURRENCY:
        return given
    raise InvalidOptionError(
        f"concurrency_limit={given!r} is not a whole number from 0 to {MAX_CONCURRENCY:,}.", field="concurrency_limit"
    )


def check_max_duration(given: Any) -> float | None:
    """Seconds an attempt may take, 0 for any, None where nothing was given; raises `InvalidDurationError`."""
    if given is None:
        return None
    if given is NO_TIMEOUT or given == "none":  # the word is for flags and files
        return 0.0
    seconds = to_seconds(given, field="max_duration")
    if seconds > 0:
        return seconds
    raise InvalidDurationError(
        "max_duration=0 would let no attempt do anything. For no limit give kk.NO_TIMEOUT.", field="max_duration"
    )


def check_machine(given: object) -> str:
    """The name of a machine preset, "" for none; raises `InvalidOptionError`."""
    return "" if given is None else check_preset(given, "machine")


def check_log_level(given: object) -> LogLevel:
    """The lowest level of `kk.logger` lines that are kept; raises `InvalidOptionError`."""
    if given is None:
        return "info"
    levels = get_args(LogLevel)
    if given not in levels:
        raise InvalidOptionError(f"log_level={given!r} is unknown. Give one of {', '.join(levels)}.", field="log_level")
    return cast(LogLevel, given)


def _retry(retry: object, retries: object) -> RetryPolicy:
    if retries is not None:
        if retry is not DEFAULT:
            raise InvalidOptionError("retry= and retries= say the same thing twice. Give one.", field="retries")
        return RetryPolicy(max_attempts=check_attempts(retries, "retries"))
    if retry is DEFAULT:
        return RetryPolicy()
    if retry is None:
        return ONE_ATTEMPT
    if isinstance(retry, Retry):
        return retry.policy
    raise InvalidOptionError(
        f"retry={retry!r} is not a kk.Retry(…). For a number of attempts alone write retries={retry!r}."
        if isinstance(retry, int) and retry > 0 and not isinstance(retry, bool)
        else f"retry={retry!r} is not a kk.Retry(…), nor None for one attempt.",
        field="retry",
    )
