"""Names of streams, checked by whoever takes them in."""

from __future__ import annotations

from kernelkit.errors import InvalidOptionError
from kernelkit.models.stream import IN, MAX_NAME, OUT
from kernelkit.rules.limits import check_text


def output_key(name: object) -> str:
    """The key of an output stream; raises `InvalidOptionError` for what is no name.

    >>> output_key("tokens")
    'out/tokens'
    """
    return OUT + _checked(name)


def input_key(name: object) -> str:
    """The key of an input stream; raises `InvalidOptionError`."""
    return IN + _checked(name)


def _checked(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise InvalidOptionError(
            f"The name of a stream is a text of 1 to {MAX_NAME} characters, not {name!r}.", field="name"
        )
    return check_text(name, "The name of a stream")
