"""The systemd user unit of a home's engine: its text, and what systemd says of it.

What a newcomer would get wrong: the unit's process need not be the engine. A notebook may have started one, or
`kernelkit down` have stopped it; then the unit stands by (`kernelkit.daemon --stand-by`) and takes over when it may.
So the unit is restarted whenever its process ends, and only systemd itself stops it.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from kernelkit.config import Home
from kernelkit.wire.launch import ENGINE_MODULE, with_import_path

# An engine leaves its workers and keepers running, so only its own process is told to stop. A home that was deleted is
# not made anew.
UNIT = """\
[Unit]
Description=KernelKit engine of {description}
ConditionPathIsDirectory={home}

[Service]
Type=exec
ExecStart={command}
WorkingDirectory=-{folder}
{environment}Restart=always
RestartSec=5
KillMode=process

[Install]
WantedBy=default.target
"""
LINGERING = Path("/var/lib/systemd/linger")  # where logind keeps a file for each user whose services start at boot
_ASKED = ("ActiveState", "SubState", "MainPID", "UnitFileState", "ConditionResult", "Result", "NRestarts")


def unit_path(home: Home) -> Path:
    """Where the unit of this home lies."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "systemd" / "user" / unit_name(home)


def unit_name(home: Home) -> str:
    """Readable, and one for each home."""
    path = str(home.path.resolve())
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", home.path.resolve().parent.name) or "home"
    return f"kernelkit-{name[:40]}-{hashlib.blake2b(path.encode(), digest_size=4).hexdigest()}.service"


def unit_text(home: Home) -> str:
    """What stands in the unit: this interpreter, this home, and an engine that does not stop when idle."""
    path = home.path.resolve()
    program, *words = engine_command(home)
    found = with_import_path({}).get("PYTHONPATH")
    return UNIT.format(
        description=" ".join(_literal(str(path)).split()),
        home=_literal(str(path)),
        folder=_literal(str(path.parent)),
        command=" ".join([_quoted(program), *(_quoted(word).replace("$", "$$") for word in words)]),
        environment=f"Environment={_quoted(f'PYTHONPATH={found}')}\n" if found else "",
    )


def engine_command(home: Home) -> list[str]:
    """What starts the engine of this home, and keeps it."""
    return [sys.executable, "-P", "-m", ENGINE_MODULE, "--home", str(home.path.resolve()), "--keep", "--stand-by"]


def is_installed(home: Home) -> bool:
    """Whether the engine of this home starts by itself, with the machine or the login."""
    return unit_path(home).is_file()


def is_lingering() -> bool:
    """Whether this user's services run without a login, from the machine's start on."""
    return (LINGERING / user_name()).exists()


def user_name() -> str:
    """Whose services these are."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return str(os.getuid())


def has_systemd() -> bool:
    return shutil.which("systemctl") is not None


def systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    """`systemctl --user` with these words; the caller has seen that there is one."""
    command = [shutil.which("systemctl") or "systemctl", "--user", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def unit_state(home: Home) -> dict[str, str]:
    """What systemd says of the unit, by its own names; empty where it is not there to ask."""
    if not has_systemd():
        return {}
    asked = systemctl("show", unit_name(home), f"--property={','.join(_ASKED)}")
    if asked.returncode:
        return {}
    return dict(line.split("=", 1) for line in asked.stdout.splitlines() if "=" in line)


def _literal(path: str) -> str:
    """A path as the rest of a line."""
    return path.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a command, as systemd reads them."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return escaped if re.fullmatch(r"[\w%./:=@+-]+", word, re.ASCII) else f'"{escaped}"'
