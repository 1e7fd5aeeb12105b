"""The surroundings of this process, which the workers of its tasks are given again, and who it is as an owner of ids.

Variables that Jupyter, IPython or a terminal put there are left out: a worker has neither, and they would give every
kernel an environment of its own. The file may hold secrets, so it is 0600 and never shown.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from kernelkit.authoring import notebook
from kernelkit.authoring.bundle import is_by_reference, mark_used, write_private
from kernelkit.config import Home
from kernelkit.models.environment import Environment
from kernelkit.models.task import Owner

_PREFIXES = ("JPY_", "JUPYTER", "KERNEL_", "IPYKERNEL_", "IPY_", "PYDEVD_", "PYTEST_", "VSCODE_", "KERNELKIT_WORKER_")
_NAMES = frozenset(
    {
        "_",
        "COLUMNS",
        "DBUS_SESSION_BUS_ADDRESS",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LINES",
        "OLDPWD",
        "PWD",
        "SHLVL",
        "SSH_CLIENT",
        "SSH_CONNECTION",
        "SSH_TTY",
        "STY",
        "TERM_SESSION_ID",
        "TMUX",
        "TMUX_PANE",
        "WINDOWID",
        "XDG_SESSION_ID",
    }
)
# What ipykernel sets for its own output; a person's other value for them is kept.
_FROM_KERNEL = {
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
}
_KERNEL_FILE = re.compile(r"kernel-(?P<id>[\w-]+)\.json$")


class Surroundings:
    """This process's `Environment`, made anew only when variables, folder or import path have changed."""

    def __init__(self) -> None:
        self._seen: tuple[object, ...] = ()
        self._environment: Environment | None = None
        self._id = ""
        self._written = ""  # its file, once it is there

    def environment(self, home: Home) -> Environment:
        """Interpreter, working folder, `sys.path` and variables as they are now; `home` is what workers shall use."""
        seen = (home.path, _cwd(), tuple(sys.path), _variables())
        if self._environment is None or seen != self._seen:
            self._environment = capture(home)
            self._id = self._environment.id
            self._seen = seen
            self._written = ""
        return self._environment

    def write(self, home: Home) -> str:
        """The environment's id, with its file in the home; costs some 20 µs while nothing has changed."""
        environment = self.environment(home)
        if not self._written or not mark_used(self._written):
            path = home.environments / f"{self._id}.json"
            write_private(path, msgspec.json.encode(environment))
            self._written = str(path)
        return self._id


def capture(home: Home) -> Environment:
    """The environment of this process, for tasks of `home`."""
    cwd = _cwd()
    path = [os.path.abspath(os.path.join(cwd, entry)) for entry in sys.path]
    return Environment(
        python=sys.executable,
        cwd=cwd,
        path=tuple(dict.fromkeys(path)),
        variables=own_variables(os.environ) | {"KERNELKIT_HOME": str(home.path)},
    )


def own_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """`variables` without those of Jupyter, of IPython and of the terminal.

    >>> own_variables({"PATH": "/bin", "JPY_SESSION_NAME": "a.ipynb", "SHLVL": "2"})
    {'PATH': '/bin'}
    """
    in_kernel = "JPY_PARENT_PID" in variables or "JPY_SESSION_NAME" in variables
    kept = {}
    for name, value in sorted(variables.items()):
        if name in _NAMES or name.startswith(_PREFIXES):
            continue
        if name == "MPLBACKEND" and value.startswith("module://"):  # draws into a notebook, which workers have not
            continue
        if in_kernel and _FROM_KERNEL.get(name) == value:
            continue
        kept[name] = value
    return kept


def write_environment(home: Home, environment: Environment) -> str:
    """Put the environment into the home, readable by the owner alone; returns its id."""
    write_private(home.environments / f"{environment.id}.json", msgspec.json.encode(environment))
    return environment.id


def read_environment(home: Home, env_id: str) -> Environment:
    """The environment that `write_environment` put there; raises `FileNotFoundError`."""
    return msgspec.json.decode((home.environments / f"{env_id}.json").read_bytes(), type=Environment)


def detect_owner(function: Callable[..., Any] | None = None) -> Owner:
    """Who defines tasks here: the notebook by its path where known, else the kernel; a module's function its file."""
    if function is not None and is_by_reference(function):
        module = sys.modules.get(function.__module__)
        return Owner("module", os.path.realpath(getattr(module, "__file__", None) or function.__module__))
    session = notebook.session_name()
    if session:
        return Owner("notebook", session)
    kernel = notebook.kernel_file()
    if kernel is not None:
        named = _KERNEL_FILE.search(kernel)
        return Owner("kernel", named["id"] if named else os.path.basename(kernel))
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script and notebook.shell() is None:
        return Owner("module", os.path.realpath(script))
    return Owner("kernel", f"pid {os.getpid()}")


def _variables() -> Mapping[Any, Any]:  # compared only, as text or bytes
    """A copy of the variables, only to be compared: `os.environ` decodes each one that is read from it."""
    return dict(getattr(os.environ, "_data", os.environ))


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # the folder was deleted under us
        return str(Path.home())
