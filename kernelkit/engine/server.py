"""Connections to the engine: who they are, and whom their messages go to.

Keepers and workers are handed to the fleet, clients to `requests.py`.
"""

from __future__ import annotations

import logging
from typing import assert_never

from kernelkit.config import Home
from kernelkit.engine.core import Core
from kernelkit.engine.fleet import Fleet
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.notices import Notices
from kernelkit.engine.requests import Requests
from kernelkit.errors import VersionMismatchError, to_wire
from kernelkit.version import __version__
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from kernelkit.wire.discovery import is_trusted

logger = logging.getLogger(__name__)


class Server:
    """Takes connections."""

    def __init__(
        self,
        core: Core,
        fleet: Fleet,
        notices: Notices,
        logbook: Logbook,
        requests: Requests,
        home: Home,
        *,
        pid: int,
        started_at: int,
    ) -> None:
        self._core = core
        self._fleet = fleet
        self._notices = notices
        self._logbook = logbook
        self._requests = requests
        self._home = home
        self._pid = pid
        self._started_at = started_at
        self.clients: dict[Channel, m.Hello] = {}

    # ---- connections -----------------------------------------------------------------------------------------------

    def opened(self, channel: Channel) -> None:
        if not is_trusted(channel.peer):
            logger.warning("refused a connection of another user", extra={"uid": channel.peer.uid})
            channel.close()

    def first_message(self, channel: Channel, message: m.AnyMessage) -> None:
        """The opening of every connection; later messages go where its role says."""
        if not isinstance(message, m.Hello):
            channel.close()
            return
        if message.protocol not in (m.PROTOCOL, m.PROTOCOL - 1):
            older = "client" if message.protocol < m.PROTOCOL else "engine"
            error = VersionMismatchError(
                f"The engine of {self._home.path} speaks protocol {m.PROTOCOL} (kernelkit {__version__}), this "
                f"process speaks {message.protocol} (kernelkit {message.package or 'unknown'}). The {older} is older: "
                "install the same kernelkit in both environments, then run `kernelkit restart`.",
                engine=m.PROTOCOL,
                client=message.protocol,
            )
            channel.send(m.Refused(0, to_wire(error)))
            return
        channel.send(m.Welcome(self._pid, m.PROTOCOL, __version__, str(self._home.path), self._started_at))
        match message.role:
            case "client":
                self.clients[channel] = message
                self._requests.greet(channel, (message.owner, *message.owners), message.parent)
                channel.on_message = self._requests.take
                channel.on_close = self._client_closed
            case "keeper":
                env_id = message.env_id
                channel.on_message = lambda _, got: self._fleet.keeper_message(env_id, got)
                channel.on_close = lambda closed: self._fleet.keeper_closed(env_id, closed)
                self._fleet.keeper_hello(channel, message)
            case "worker":
                worker_id = message.name
                channel.on_message = lambda from_, got: self._worker_message(worker_id, from_, got)
                channel.on_close = lambda closed: self._worker_closed(worker_id, closed)
                self._fleet.worker_hello(channel, message)
            case _:
                assert_never(message.role)

    def _worker_message(self, worker_id: str, channel: Channel, message: m.AnyMessage) -> None:
        if isinstance(message, m.Request):  # what an attempt's code reads
            self._requests.take(channel, message)
        elif isinstance(message, m.WorkerLogs):
            self._core.add_lines(self._logbook.take(message))
            self._notices.lines_came(message.run_id)
        else:
            self._fleet.worker_message(worker_id, channel, message)

    def _worker_closed(self, worker_id: str, channel: Channel) -> None:
        self._requests.forget(channel)
        self._fleet.worker_closed(worker_id, channel)

    def _client_closed(self, channel: Channel) -> None:
        self.clients.pop(channel, None)
        self._requests.forget(channel)
        self._notices.forget(channel)
