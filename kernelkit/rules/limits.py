"""Limits on what a call may carry, checked by whoever takes it in: the caller early, the engine for certain."""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.errors import InvalidOptionError

MAX_TAGS = 10
MAX_TAG_LENGTH = 128


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
