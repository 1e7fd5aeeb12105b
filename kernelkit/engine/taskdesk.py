"""Answers what clients define, and knows who of them is connected: an id belongs to its owner as long as that is.

A client may be several owners: a notebook is one, each module that it imports another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.core import Core
from kernelkit.engine.notices import Peer
from kernelkit.errors import TaskDefinitionError
from kernelkit.wire import messages as m


class TaskDesk:
    """The tasks of the project, and the clients that define them."""

    def __init__(self, core: Core, home: Home) -> None:
        self._core = core
        self._home = home
        self._owners: dict[Peer, set[str]] = {}  # what each connected client defines tasks as, by `str(Owner)`

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._owners)

    def greet(self, client: Peer, owners: Iterable[str]) -> None:
        """A client has connected that defines tasks, or has defined some, as `owners`."""
        self._owners[client] = set(owners)

    def forget(self, client: Peer) -> None:
        """The client is gone: its task ids may be taken over."""
        self._owners.pop(client, None)

    def define(self, peer: Peer, body: m.DefineTask, reply: Callable[[m.ReplyBody], None]) -> None:
        """Take a definition, unless its id belongs to somebody who is connected."""
        spec = body.spec
        self._core.refuse_if_full()
        for path in (self._home.bundles / spec.bundle, self._home.environments / f"{spec.env_id}.json"):
            if not path.exists():
                raise TaskDefinitionError(
                    f"The file {path} that belongs to the task {spec.id!r} is missing. Define the task again.",
                    task_id=spec.id,
                )
        before = self._core.state.tasks.get(spec.id)
        connected = frozenset(itertools.chain.from_iterable(self._owners.values()))
        self._core.take(
            c.DefineTask(spec, body.replace, connected),
            lambda: reply(m.Defined(spec.id, now.number, before is None or before.number != now.number, notice)),
        )
        self._owners.setdefault(peer, set()).add(str(spec.owner))
        now = self._core.state.tasks[spec.id]
        notice = ""
        if before is not None and before.spec.owner != spec.owner:
            notice = f"The task {spec.id!r} was taken over from {before.spec.owner}."

    def tasks(self) -> m.TaskList:
        """All tasks, with their versions."""
        state = self._core.state
        return m.TaskList(
            tuple(
                m.TaskInfo(version.spec, version.number, tuple(state.numbers.get(task_id, ())))
                for task_id, version in sorted(state.tasks.items())
            )
        )
