"""The client that a process uses when it names none: one per process, for the home found at its first use.

Importing this room says where callers come from (`authoring.caller`), unless somebody has said so already, as a worker
does; it starts nothing.
"""

from __future__ import annotations

import importlib
import os
import threading

from kernelkit.authoring import caller as callers
from kernelkit.authoring import here
from kernelkit.client.client import Client
from kernelkit.client.engine import Connection, EngineControl
from kernelkit.errors import KernelKitError

_lock = threading.Lock()
_client: Client | None = None
_made_for: str | None = None  # KERNELKIT_HOME when it was made


def default_client() -> Client:
    """This process's client, made at the first call. A changed `KERNELKIT_HOME` makes another; a changed folder not."""
    if _client is not None and _made_for == os.environ.get("KERNELKIT_HOME"):
        return _client
    return _make()


def set_default_client(client: Client | None) -> None:
    """Make `client` this process's own; None has the next use find the home again. The former is left open."""
    global _client, _made_for
    with _lock:
        _client = client
        _made_for = os.environ.get("KERNELKIT_HOME")


def _make() -> Client:
    global _client, _made_for
    with _lock:
        named = os.environ.get("KERNELKIT_HOME")
        if _client is None or _made_for != named:
            _client, _made_for = Client(), named
        return _client


def _connection() -> Connection:
    current = callers.current()
    if isinstance(current, Client):
        return current
    raise KernelKitError("kk.engine works in notebooks and scripts, not inside a task or the test engine.")


engine = EngineControl(_connection)

if not callers.has_default():
    callers.install_default(default_client)
here.install(lambda: importlib.import_module("kernelkit.client.here").run_here)
