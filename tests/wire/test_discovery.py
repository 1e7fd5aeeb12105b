"""Lock, socket and marks of a home."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError, HomeLockedError
from kernelkit.wire import discovery
from kernelkit.wire.channel import PeerCredentials

HOLD = """
import sys
from pathlib import Path
from kernelkit.config import Home
from kernelkit.wire.discovery import lock_home
lock = lock_home(Home(Path(sys.argv[1])), version="9.9")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / ".kernelkit").create()


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kk-run-", dir="/tmp") as folder:  # tmp_path may be too long for a socket
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def test_the_socket_path_is_short_however_deep_the_project_lies() -> None:
    deep = Home(Path("/" + "/".join(["a-rather-long-folder-name"] * 30)) / ".kernelkit")

    assert len(os.fsencode(discovery.socket_path_of(deep))) < 104


def test_two_homes_have_two_sockets_and_a_link_to_a_home_has_its_own(tmp_path: Path) -> None:
    one, two = Home(tmp_path / "one").create(), Home(tmp_path / "two").create()
    (tmp_path / "link").symlink_to(one.path)

    assert discovery.socket_path_of(one) != discovery.socket_path_of(two)
    assert discovery.socket_path_of(Home(tmp_path / "link")) == discovery.socket_path_of(one)


def test_a_runtime_folder_that_is_not_there_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))

    assert tmp_path not in discovery.runtime_folder().parents


def test_binding_closes_folder_and_socket_to_others_and_replaces_a_stale_one(home: Home, runtime: Path) -> None:
    path = discovery.socket_path_of(home)
    stale = discovery.bind(path)
    stale.close()  # the file stays, as after kill -9

    listener = discovery.bind(path)

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(path))
    assert list(path.parent.iterdir()) == [path]
    listener.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_socket_folder_of_another_user_is_refused(home: Home, runtime: Path) -> None:
    (runtime / "kernelkit").mkdir()
    os.chown(runtime / "kernelkit", 12345, 12345)

    with pytest.raises(EngineUnavailableError, match="belongs to another user"):
        discovery.bind(discovery.socket_path_of(home))


def test_a_link_in_place_of_the_socket_folder_is_refused(home: Home, runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (runtime / "kernelkit").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(EngineUnavailableError):
        discovery.bind(discovery.socket_path_of(home))


def test_a_path_too_long_for_the_system_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="too long"):
        discovery.bind(tmp_path / ("x" * 120) / "s.sock")


def test_a_locked_home_names_its_owner_and_is_free_after_kill(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"

        with pytest.raises(HomeLockedError, match=rf"pid {holder.pid} \(since .*kernelkit down") as refused:
            discovery.lock_home(home, version="1.0")
        assert refused.value.pid == holder.pid
        assert refused.value.version == "9.9"
        assert discovery.is_locked(home)

        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert not discovery.is_locked(home)
    lock = discovery.lock_home(home, version="1.0")
    owner = discovery.lock_owner(home)
    assert owner is not None and (owner.pid, owner.python) == (os.getpid(), sys.executable)
    lock.release()
    lock.release()
    assert discovery.lock_owner(home) is None


def test_an_engine_with_another_runtime_folder_is_found_through_the_lock_file(
    home: Home, runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = discovery.socket_path_of(home)
    lock = discovery.lock_home(home, version="1.0", socket_path=path)
    listener = discovery.bind(path)
    (tmp_path / "other").mkdir(mode=0o700)

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "other"))

    assert discovery.find_socket(home) == path
    listener.close()
    lock.release()
    assert discovery.find_socket(home) == discovery.socket_path_of(home) != path


def test_a_copied_home_does_not_lead_to_the_original_engine(home: Home, runtime: Path, tmp_path: Path) -> None:
    lock = discovery.lock_home(home, version="1.0")
    listener = discovery.bind(discovery.socket_path_of(home))
    copy = Home(tmp_path / "copy" / ".kernelkit")
    shutil.copytree(home.path, copy.path)

    assert discovery.find_socket(copy) == discovery.socket_path_of(copy) != discovery.find_socket(home)
    listener.close()
    lock.release()


def test_only_this_user_and_root_are_trusted() -> None:
    assert discovery.is_trusted(PeerCredentials(1, os.getuid()))
    assert discovery.is_trusted(PeerCredentials(1, 0))
    assert not discovery.is_trusted(PeerCredentials(1, 12345))


def test_the_mark_left_by_down_comes_and_goes(home: Home) -> None:
    discovery.mark_down(home)
    assert discovery.is_marked_down(home)
    discovery.clear_down_mark(home)
    discovery.clear_down_mark(home)
    assert not discovery.is_marked_down(home)
