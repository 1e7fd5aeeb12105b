"""How a connection opens: `Hello`, answered by `Welcome` or `Refused`.

`Refused` answers single requests and reports as well: it names them by `id`, and 0 is the connection itself.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kernelkit.wire.messages.message import Message

PROTOCOL = 1


class Hello(Message, frozen=True):
    """First message of a connection. `name` is the client's owner name, the keeper's env id, or the worker's id."""

    role: Literal["client", "keeper", "worker"]
    name: str
    pid: int
    protocol: int = PROTOCOL
    package: str = ""
    owner: str = ""  # clients: str(Owner), so that the engine knows which owners are connected
    owners: tuple[str, ...] = ()  # clients: others that they have defined tasks as, those of imported modules
    parent: LiveAttempt | None = None  # clients: the attempt that started their process; what they trigger is its child
    worker_kind: Literal["shared", "process"] = "shared"
    env_id: str = ""
    started_at: float = 0.0  # process start time (psutil create_time), against pid reuse
    boot_id: str = ""
    workers: tuple[str, ...] = ()  # keepers: ids of the workers they hold
    live: tuple[LiveAttempt, ...] = ()  # workers: attempts they are executing now


class LiveAttempt(msgspec.Struct, frozen=True, gc=False):
    """An attempt a worker was given and whose last report it has no `Ack` for yet: still executing, or just over."""

    run_id: str
    fence: str
    attempt: int


class Welcome(Message, frozen=True):
    pid: int
    protocol: int
    package: str
    home: str
    started_at: int


class Refused(Message, frozen=True):
    """An error for request or report `id`; `error` is `errors.to_wire(…)`. `id` 0 refuses the connection itself."""

    id: int
    error: dict[str, Any]
