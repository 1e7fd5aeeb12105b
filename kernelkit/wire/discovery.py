"""Where a home's engine listens, who owns the home, and who is at the other end.

Only the engine takes the lock, held for life beside the database it protects; clients just try to connect. What a
newcomer would get wrong: the text in the lock file and a socket file that exists prove nothing (both stay behind after
`kill -9`); the held `flock` and an answered connection do.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import stat
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError, HomeLockedError
from kernelkit.wire.channel import PeerCredentials

MAX_SOCKET_PATH = 107  # bytes; one more is "AF_UNIX path too long"
_SUFFIX_ROOM = len(".new")


class LockOwner(msgspec.Struct, frozen=True):
    """Who holds a home, as written in its lock file: for messages, and to find the engine's socket and interpreter."""

    pid: int
    since: datetime
    version: str
    socket: str
    python: str = ""


class EngineLock:
    """The claim of one engine on one home; let go with `release` or with the process's end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


def lock_home(home: Home, *, version: str, socket_path: Path | None = None) -> EngineLock:
    """Claim `home` for this process; raises `HomeLockedError` naming who has it."""
    fd = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for tries_left in reversed(range(5)):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as cause:
            if not tries_left:
                os.close(fd)
                raise _locked(home) from cause
            time.sleep(0.01)  # `is_locked` of some client holds it for microseconds
    owner = LockOwner(
        os.getpid(), datetime.now(UTC), version, str(socket_path or socket_path_of(home)), python=sys.executable
    )
    os.ftruncate(fd, 0)
    with contextlib.suppress(OSError):  # on a full disk the text is missing; the lock holds all the same
        os.write(fd, msgspec.json.encode(owner) + b"\n")
    return EngineLock(fd)


def is_locked(home: Home) -> bool:
    """Whether some process holds the home now."""
    try:
        fd = os.open(home.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def lock_owner(home: Home) -> LockOwner | None:
    """What the lock file says; it may be left over from an engine that was killed."""
    try:
        return msgspec.json.decode(home.lock.read_bytes(), type=LockOwner)
    except (OSError, msgspec.DecodeError):
        return None


def is_held_by(home: Home, owner: LockOwner | None) -> bool:
    """Whether the home is held, and not by another than `owner`: a service takes over as soon as an engine ends."""
    return is_locked(home) and (owner is None or lock_owner(home) in (owner, None))


def _locked(home: Home) -> HomeLockedError:
    owner = lock_owner(home)
    who, facts = "another engine", {}
    if owner is not None:
        who = f"the engine with pid {owner.pid} (since {owner.since.astimezone():%H:%M on %d %B})"
        facts = {"pid": owner.pid, "since": owner.since.isoformat(), "version": owner.version}
    return HomeLockedError(
        f"The home {home.path} is in use by {who}. Notebooks can share it as it is; to stop it run `kernelkit down`.",
        home=str(home.path),
        **facts,
    )


# ---- the socket ---------------------------------------------------------------------------------------------------


def runtime_folder() -> Path:
    """Where sockets of this user lie: in `$XDG_RUNTIME_DIR`, else in `/run/user/<uid>`, else `/tmp/kernelkit-<uid>`.

    Not `$TMPDIR`, which may differ between two processes of one project.
    """
    user = os.getuid()
    for folder in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}"):
        if not folder or len(os.fsencode(folder)) > 70:  # the name below needs 32, and the limit is 107
            continue
        with contextlib.suppress(OSError):
            found = os.stat(folder)
            if stat.S_ISDIR(found.st_mode) and found.st_uid == user and os.access(folder, os.W_OK | os.X_OK):
                return Path(folder) / "kernelkit"
    return Path(f"/tmp/kernelkit-{user}")


def socket_path_of(home: Home) -> Path:
    """The socket of `home`, from the real path of its folder; nothing need exist.

    >>> from kernelkit.config import Home
    >>> len(socket_path_of(Home(Path("/srv/project/.kernelkit"))).name)
    17
    """
    digest = hashlib.sha256(os.fsencode(os.path.realpath(home.path))).hexdigest()[:12]
    return runtime_folder() / f"{digest}.sock"


def find_socket(home: Home) -> Path:
    """Where to connect: the usual path, or the lock file's where the engine has another runtime folder than we."""
    usual = socket_path_of(home)
    owner = lock_owner(home)
    if owner is None:
        return usual
    written = Path(owner.socket)
    # the name is that of this home, so the lock file of a copied folder does not lead to the original's engine
    return written if written.name == usual.name and _is_ours(written) else usual


def _is_ours(path: Path) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_uid in (os.getuid(), 0)


def prepare_folder(folder: Path) -> None:
    """Make the socket folder, closed to others; `EngineUnavailableError` when it is not this user's own."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.lstat(folder)
    except OSError as cause:
        raise EngineUnavailableError(
            f"The folder for the engine's socket, {folder}, cannot be made: {cause.strerror}. "
            "Set XDG_RUNTIME_DIR to a folder of your own."
        ) from cause
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise EngineUnavailableError(
            f"The folder for the engine's socket, {folder}, belongs to another user (uid {found.st_uid}), who "
            "could read what goes through it. Have it removed, or set XDG_RUNTIME_DIR to a folder of your own."
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def bind(path: Path) -> socket.socket:
    """A listening socket at `path`, readable by this user alone; takes the place of one that a dead engine left.

    Call it only with the home's lock held. It appears under its name when it already listens, so nobody meets a
    socket that refuses.
    """
    if len(os.fsencode(path)) + _SUFFIX_ROOM > MAX_SOCKET_PATH:
        raise EngineUnavailableError(
            f"The path of the engine's socket is too long for the system: {path}. "
            "Set XDG_RUNTIME_DIR to a shorter folder."
        )
    prepare_folder(path.parent)
    fresh = path.with_name(path.name + ".new")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        listener.bind(str(fresh))
        fresh.chmod(0o600)
        listener.listen(1024)
        fresh.rename(path)  # also takes the place of a stale one
    except OSError:
        listener.close()
        raise
    return listener


def is_trusted(peer: PeerCredentials) -> bool:
    """Whether the other end belongs to this user or to root, as the kernel says."""
    return peer.uid in (os.getuid(), 0) or peer.uid == -1  # -1: no such check here; the folder's mode guards


def is_nobody_there(error: OSError) -> bool:
    """Whether a failed connect means that no engine listens (rather than, say, too many open files)."""
    return error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOTSOCK, errno.EPIPE)


# ---- the note left by `kernelkit down` ------------------------------------------------------------------------------


def mark_down(home: Home) -> None:
    """Leave the note: from now on only an explicit call starts the engine."""
    home.down_mark.write_text(f"stopped by `kernelkit down` at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")


def is_marked_down(home: Home) -> bool:
    return home.down_mark.exists()


def clear_down_mark(home: Home) -> None:
    home.down_mark.unlink(missing_ok=True)
