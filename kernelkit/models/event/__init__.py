"""What happened, in the order it happened: the log is a list of these, and state is their fold.

An event is a fact, not a wish: it carries everything `engine/apply.py` needs, so that folding the log again gives the
same state. Never change the meaning of an event that is out in the world; add another.
"""

# ruff: noqa: F403  (what a room has is all that this sign is to show)
from __future__ import annotations

from kernelkit.models.event.attempts import *
from kernelkit.models.event.codec import *
from kernelkit.models.event.definitions import *
from kernelkit.models.event.event import *
from kernelkit.models.event.runs import *
from kernelkit.models.event.waits import *
from kernelkit.models.event.workers import *
