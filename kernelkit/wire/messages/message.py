"""What everything on the wire has in common: frozen data, tagged with the name of its class."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, omit_defaults=True, tag=True, array_like=False, gc=False):
    """Base of everything on the wire; the tag is the class name.

    `gc=False` here and in the models: frozen data holds no cycles, and the collector need not walk thousands of them.
    """
