"""Names of streams, checked by whoever takes them in."""

from __future__ import annotations

from kernelkit.errors import InvalidOptionError, StreamFullError
from kernelkit.models.stream import IN, MAX_CHUNK_BYTES, MAX_INPUT_BYTES, MAX_NAME, OUT, is_input, name_of_key
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


def check_chunk(key: str, text: str) -> int:
    """The bytes of one value's JSON; raises `StreamFullError` when it is larger than one may be.

    >>> check_chunk("out/tokens", '"ü"')
    4
    """
    limit = MAX_INPUT_BYTES if is_input(key) else MAX_CHUNK_BYTES
    size = len(text) if text.isascii() else len(text.encode())
    if size > limit:
        raise StreamFullError(
            f"A value for the stream {name_of_key(key)!r} has {size:,} bytes of JSON; at most {limit:,} are taken. "
            "Write the data to a file and send its path, or send it in parts.",
            size=size,
            limit=limit,
        )
    return size


def _checked(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise InvalidOptionError(
            f"The name of a stream is a text of 1 to {MAX_NAME} characters, not {name!r}.", field="name"
        )
    return check_text(name, "The name of a stream")
