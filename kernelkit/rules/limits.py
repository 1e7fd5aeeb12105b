"""Limits on what a call may carry, checked by whoever takes it in: the caller early, the engine for certain."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kernelkit.errors import InvalidOptionError

MAX_TAGS = 10
MAX_TAG_LENGTH = 128
MAX_REASON_LENGTH = 1_000
MAX_QUESTION = 1_000
MAX_CONTEXT_BYTES = 4_096
MAX_CONCURRENCY = 100_000
MAX_QUEUE_NAME = 128

_QUEUE = re.compile(r"[A-Za-z0-9_/-]+")
_TASK_ID = re.compile(r"[^\W_][\w./:-]*")


def check_text(text: str, what: str) -> str:
    """`text`, which can be stored; raises `InvalidOptionError` naming `what` for half a character (a lone surrogate).

    >>> check_text("ü", "A tag")
    'ü'
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as cause:
            raise InvalidOptionError(
                f"{what} is {text[:40]!r}, which holds half a character (as file names may that are no UTF-8). "
                "Write it with text.encode('utf-8', 'replace').decode()."
            ) from cause
    return text


def check_tags(tags: Sequence[str]) -> None:
    """At most 10 tags of 1 to 128 characters; raises `InvalidOptionError`.

    >>> check_tags(["user_1"])
    """
    if len(tags) > MAX_TAGS:
        raise InvalidOptionError(f"A run has at most {MAX_TAGS} tags; this one would have {len(tags)}.")
    for tag in tags:
        if not 0 < len(tag) <= MAX_TAG_LENGTH:
            raise InvalidOptionError(
                f"The tag {tag[:40]!r} has {len(tag)} characters; 1 to {MAX_TAG_LENGTH} are allowed."
            )
        check_text(tag, "A tag")


def check_question(question: str, context: str) -> None:
    """What a token asks, in at most 1,000 characters, and its context, in at most 4,096 bytes of JSON; raises
    `InvalidOptionError`.

    >>> check_question("Approve?", "{}")
    """
    if len(question) > MAX_QUESTION:
        raise InvalidOptionError(
            f"The question has {len(question):,} characters; at most {MAX_QUESTION:,} are shown.", field="question"
        )
    check_text(question, "The question")
    if len(context.encode()) > MAX_CONTEXT_BYTES:
        raise InvalidOptionError(
            f"The context has {len(context.encode()):,} bytes of JSON; at most {MAX_CONTEXT_BYTES:,} are kept. "
            "Name a file or a run instead.",
            field="context",
        )


def check_reason(reason: object) -> str:
    """The reason of a cancel; raises `InvalidOptionError` for what is no text of 1 to 1,000 characters.

    >>> check_reason("not today")
    'not today'
    """
    if not isinstance(reason, str) or not 0 < len(reason) <= MAX_REASON_LENGTH:
        shown = f"has {len(reason):,} characters" if isinstance(reason, str) else f"is {reason!r}"
        raise InvalidOptionError(
            f"The reason of a cancel {shown}. Give a text of 1 to {MAX_REASON_LENGTH:,} characters.", field="reason"
        )
    return check_text(reason, "The reason")


def check_queue_name(given: object) -> str:
    """The name of a queue; raises `InvalidOptionError`.

    >>> check_queue_name("images/large")
    'images/large'
    """
    if isinstance(given, str):
        own = given.removeprefix("task/")  # of a task that names none, whose id may hold more than letters
        if len(own) <= MAX_QUEUE_NAME and (_QUEUE.fullmatch(own) or (own != given and _TASK_ID.fullmatch(own))):
            return given
    raise InvalidOptionError(
        f"queue={given!r} is not a queue. Give a name of letters, digits and - _ / up to {MAX_QUEUE_NAME} characters, "
        "or kk.Queue(name, concurrency_limit=n).",
        field="queue",
    )
