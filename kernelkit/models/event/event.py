"""What every event has: the moment at which it happened, and a tag in the log, the name of its class."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True, omit_defaults=True, tag=True, gc=False):
    """Base of all events; `at` is UTC microseconds."""

    at: int
