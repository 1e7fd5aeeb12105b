"""Options of tasks and of triggers: read, checked, and refused with words.

Everything a person may write after `@kk.task(` and `.options(` passes through here once; what comes out is right and is
not checked again. What a newcomer would get wrong: `retry=None` means one attempt, leaving `retry` out means three.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Never, get_args

from kernelkit import jsonvalues
from kernelkit.authoring.tags import new_tags
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidOptionError, TaskDefinitionError
from kernelkit.models.task import MAX_ATTEMPTS, ONE_ATTEMPT, Isolation, RetryPolicy
from kernelkit.rules.metadata import encode_checked

MAX_FACTOR = 10  # 10 ** 249 is still a float
MAX_CONCURRENCY = 100_000
MAX_NAME = 128

TASK_OPTIONS = (
    "id",
    "description",
    "queue",
    "concurrency_limit",
    "retry",
    "retries",
    "tags",
    "isolation",
    "replace",
)
RUN_OPTIONS = ("tags", "max_attempts", "metadata")

_ID = re.compile(r"[^\W_][\w./:-]*")
_QUEUE = re.compile(r"[A-Za-z0-9_/-]+")


class _Default:
    """Marks an option that was not given, where None has a meaning of its own."""

    def __repr__(self) -> str:
        return "<the default>"


DEFAULT: Final = _Default()


class Retry:
    """How often and when a failed attempt is followed by another.

    The wait before attempt n+1 is `min_timeout * factor ** (n - 1)`, lengthened by chance up to the double
    (`randomize`), and never over `max_timeout`. `max_attempts` counts the first attempt.

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
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, ("max_attempts", "factor", "min_timeout", "max_timeout", "randomize"), "kk.Retry")
        low = to_seconds(min_timeout, field="min_timeout")
        high = to_seconds(max_timeout, field="max_timeout")
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= MAX_FACTOR:
            raise InvalidOptionError(f"factor={factor!r} is not a number from 1 to {MAX_FACTOR}.", field="factor")
        if high < low:
            raise InvalidOptionError(
                f"max_timeout={max_timeout!r} is shorter than min_timeout={min_timeout!r}.", field="max_timeout"
            )
        if not isinstance(randomize, bool):
            raise InvalidOptionError(f"randomize={randomize!r} is not True or False.", field="randomize")
        self.policy = RetryPolicy(
            max_attempts=check_attempts(max_attempts, "max_attempts"),
            factor=float(factor),
            min_timeout=low,
            max_timeout=high,
            randomize=randomize,
        )

    def __repr__(self) -> str:
        return repr(self.policy).replace("RetryPolicy", "Retry")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Retry) and self.policy == other.policy

    def __hash__(self) -> int:
        return hash(self.policy)


class Queue:
    """A queue by name, which tasks may share; `concurrency_limit` is how many of its runs execute at once.

    >>> Queue("images", concurrency_limit=5)
    Queue('images', concurrency_limit=5)
    """

    __slots__ = ("concurrency_limit", "name")

    def __init__(self, name: str, *, concurrency_limit: int | None = None, **unknown: Never) -> None:
        refuse_unknown(unknown, ("name", "concurrency_limit"), "kk.Queue")
        self.name = check_queue(name)
        self.concurrency_limit = check_limit(concurrency_limit)

    def __repr__(self) -> str:
        limit = "" if self.concurrency_limit is None else f", concurrency_limit={self.concurrency_limit}"
        return f"Queue({self.name!r}{limit})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Queue) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Checked options of one trigger."""

    tags: tuple[str, ...] = ()
    max_attempts: int | None = None
    metadata: str = "{}"  # JSON text

    def merged(self, over: RunOptions) -> RunOptions:
        """These, with what `over` sets in their place."""
        if over is NO_OPTIONS:
            return self
        return RunOptions(
            tags=over.tags or self.tags,
            max_attempts=self.max_attempts if over.max_attempts is None else over.max_attempts,
            metadata=self.metadata if over.metadata == "{}" else over.metadata,
        )


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
        tags: str | Iterable[str] = (),
        max_attempts: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> None:
        self.payload = payload
        self.options = run_options(tags=tags, max_attempts=max_attempts, metadata=metadata, **unknown)

    def __repr__(self) -> str:
        return f"Item({self.payload!r})"


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Checked options of a task."""

    id: str
    explicit_id: bool
    description: str
    queue: str
    concurrency_limit: int | None
    retry: RetryPolicy
    tags: tuple[str, ...]
    isolation: Isolation | None  # None: as the function asks, async shared and plain a process
    replace: bool


def run_options(**given: Any) -> RunOptions:
    """Options of a trigger; raises `InvalidOptionError` naming the one that will not do.

    >>> run_options(tags="user_1", max_attempts=1)
    RunOptions(tags=('user_1',), max_attempts=1, metadata='{}')
    """
    if not given:
        return NO_OPTIONS
    refuse_unknown(given, RUN_OPTIONS, "a trigger")
    attempts = given.get("max_attempts")
    return RunOptions(
        tags=_tags(given.get("tags", ())),
        max_attempts=None if attempts is None else check_attempts(attempts, "max_attempts"),
        metadata=_metadata(given.get("metadata")),
    )


def task_options(function: str, given: Mapping[str, Any]) -> TaskOptions:
    """Options of the task made from a function of that name; raises `InvalidOptionError` naming the wrong one."""
    refuse_unknown(given, TASK_OPTIONS, "a task")
    queue, limit = given.get("queue"), check_limit(given.get("concurrency_limit"))
    if isinstance(queue, Queue):
        if limit is not None and queue.concurrency_limit not in (None, limit):
            raise InvalidOptionError(
                f"queue={queue!r} and concurrency_limit={limit} contradict each other. Give one.",
                field="concurrency_limit",
            )
        limit = queue.concurrency_limit if limit is None else limit
        queue = queue.name
    explicit = given.get("id") is not None
    isolation = given.get("isolation")
    if isolation is not None and isolation not in get_args(Isolation):
        raise InvalidOptionError(
            f"isolation={isolation!r} is unknown. Give 'process' (a worker process of its own) or 'shared'.",
            field="isolation",
        )
    for name, kind, words in (("description", str, "text"), ("replace", bool, "True or False")):
        if given.get(name) is not None and not isinstance(given[name], kind):
            raise InvalidOptionError(f"{name}={given[name]!r} is not {words}.", field=name)
    return TaskOptions(
        id=check_id(given["id"] if explicit else function.strip("_").replace("_", "-")),
        explicit_id=explicit,
        description=given.get("description") or "",
        queue="" if queue is None else check_queue(queue),
        concurrency_limit=limit,
        retry=_retry(given.get("retry", DEFAULT), given.get("retries")),
        tags=_tags(given.get("tags") or ()),
        isolation=isolation,
        replace=bool(given.get("replace")),
    )


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
    if given in ("", "<lambda>"):
        raise TaskDefinitionError("This function has no name to make a task id of. Give it one, or pass id='…'.")
    raise InvalidOptionError(
        f"id={given!r} is not a task id. It starts with a letter or digit and goes on with letters, digits "
        f"and - _ . / : up to {MAX_NAME} characters.",
        field="id",
    )


def check_queue(given: object) -> str:
    """A queue's name; raises `InvalidOptionError`."""
    if isinstance(given, str) and len(given) <= MAX_NAME and _QUEUE.fullmatch(given):
        return given
    raise InvalidOptionError(
        f"queue={given!r} is not a queue. Give a name of letters, digits and - _ / up to {MAX_NAME} characters, or "
        "kk.Queue(name, concurrency_limit=n).",
        field="queue",
    )


def check_attempts(given: object, field: str) -> int:
    """A number of attempts, the first included; raises `InvalidOptionError`."""
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MAX_ATTEMPTS:
        return given
    raise InvalidOptionError(
        f"{field}={given!r} is not a whole number from 1 to {MAX_ATTEMPTS}. "
        "It counts the first attempt; 1 means no retry.",
        field=field,
    )


def check_limit(given: object) -> int | None:
    """How many runs of a queue execute at once, None for no limit; raises `InvalidOptionError`."""
    if given is None:
        return None
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= MAX_CONCURRENCY:
        return given
    raise InvalidOptionError(
        f"concurrency_limit={given!r} is not a whole number from 0 to {MAX_CONCURRENCY:,}.", field="concurrency_limit"
    )


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
        if isinstance(retry, int)
        else f"retry={retry!r} is not a kk.Retry(…), nor None for one attempt.",
        field="retry",
    )


def _tags(given: object) -> tuple[str, ...]:
    if not isinstance(given, Iterable) or isinstance(given, bytes | Mapping):
        raise InvalidOptionError(f"tags={given!r} is not a text or a list of texts.", field="tags")
    return new_tags(given)


def _metadata(given: object) -> str:
    if given is None:
        return "{}"
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise InvalidOptionError(
            f"metadata={given!r} is not a dict with texts as keys."
            if len(repr(given)) < 100
            else "metadata is not a dict with texts as keys.",
            field="metadata",
        )
    return encode_checked(jsonvalues.decode(jsonvalues.encode(dict(given), what="the option metadata")))
