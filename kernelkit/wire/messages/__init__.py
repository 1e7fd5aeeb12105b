"""Every message that crosses a process border, as msgspec structs (one codec: `wire/codec.py`).

A connection opens with `Hello` and is answered by `Welcome` or `Refused`. After that:

* clients send `Request(id, body)` and get `Reply(id, body)` or `Refused(id, error)`; pushes come unasked;
* workers send `Report(seq, …)`, kept by them until `Ack(seq)` says that the report is on disk;
* keepers are told to spawn and kill workers, and say what became of them.

Moments are UTC microseconds, values are JSON text, ids are made by whoever asks. The tag on the wire is the name of
the class, so that a class may move from one of these rooms to another, but not be renamed.
"""

# ruff: noqa: F403  (what a room has is all that this sign is to show)
from __future__ import annotations

from kernelkit.wire.messages.attempts import *
from kernelkit.wire.messages.engine import *
from kernelkit.wire.messages.envelopes import *
from kernelkit.wire.messages.keepers import *
from kernelkit.wire.messages.message import *
from kernelkit.wire.messages.opening import *
from kernelkit.wire.messages.queues import *
from kernelkit.wire.messages.reports import *
from kernelkit.wire.messages.runs import *
from kernelkit.wire.messages.schedules import *
from kernelkit.wire.messages.streams import *
from kernelkit.wire.messages.tables import *
from kernelkit.wire.messages.tasks import *
from kernelkit.wire.messages.tokens import *
from kernelkit.wire.messages.triggering import *
from kernelkit.wire.messages.watching import *
