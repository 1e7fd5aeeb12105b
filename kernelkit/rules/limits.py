"""Limits on what a call may carry, checked by whoever takes it in: the caller early, the engine for certain."""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.errors import InvalidOptionError

MAX_TAGS = 10
MAX_TAG_LENGTH = 128


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
