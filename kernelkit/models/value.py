"""A JSON value on its way through the engine, which carries it without ever reading it.

Small values travel as text; over 1 KiB only `ref`, a key into the store's `vals` table, is held in the engine's state.
"""

from __future__ import annotations

import msgspec

INLINE_BYTES = 1024
MAX_PAYLOAD_BYTES = 3_145_728
MAX_OUTPUT_BYTES = 10_485_760
MAX_METADATA_BYTES = 262_144


class Value(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """JSON text, or where to find it. Exactly one of `text` and `ref` is set once the engine has taken it in."""

    text: str | None = None
    ref: str | None = None
    size: int = 0  # bytes of the UTF-8 text


NULL = Value(text="null", size=4)
