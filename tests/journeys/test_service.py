"""The service under a real `systemd --user`: schedules fire with no kernel open, after a crash, and after a reboot.

The manager is one of our own, with folders and control groups of its own, so that nothing is installed where the tests
run. On a machine that systemd did not start (a container) it gets a view of the file system in which it did; that
needs root.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kernelkit.cli import unit
from kernelkit.config import Home

SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(path)), None)
GROUP = f"kernelkit-test-{os.getpid()}"
ENTER = f"""
set -e
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system
mount -t cgroup2 none /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/{GROUP}
echo $$ > /sys/fs/cgroup/{GROUP}/cgroup.procs
exec {SYSTEMD} --user --log-target=console
"""
LEAVE = f"mount -t cgroup2 none /sys/fs/cgroup && find /sys/fs/cgroup/{GROUP} -depth -type d -exec rmdir {{}} +"
WITHIN_S = 30.0
A_MINUTE_S = 100.0  # a schedule of every minute, and a slow machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(SYSTEMD is None, reason="systemd is not installed"),
]


class Manager:
    """A user's systemd, which can be started anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "systemd.log"
        (folder / "run").mkdir(mode=0o700)
        kept = {name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"}
        self._environment = kept | {
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "HOME": str(folder),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._is_apart = False

    def start(self) -> None:
        """Start it, or skip the test where none can be."""
        assert SYSTEMD is not None
        self._is_apart = not os.path.isdir("/run/systemd/system")
        if self._is_apart and (os.getuid() != 0 or shutil.which("unshare") is None):
            pytest.skip("systemd did not start this machine, and to pretend so needs root and unshare")
        apart = ["unshare", "--mount", "--cgroup", "sh", "-c", ENTER]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                apart if self._is_apart else [SYSTEMD, "--user", "--log-target=console"],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + WITHIN_S
        while self.run("systemctl", "--user", "list-units", check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"no user manager can be started here: {self.log.read_text().strip()[-200:]}")
            time.sleep(0.05)

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as this user's."""
        assert self._process is not None
        enter = ["nsenter", f"--mount=/proc/{self._process.pid}/ns/mnt", f"--wd={self.folder}", "--"]
        done = subprocess.run(
            [*(enter if self._is_apart else []), *words],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def stop(self) -> None:
        """End it, and what a machine that goes down would end."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGRTMIN + 24)  # as `systemctl --user exit`
        process.wait(WITHIN_S)
        for left in psutil.process_iter(["cmdline"]):
            if any(str(self.folder) in word for word in left.info["cmdline"] or ()):
                left.kill()
                left.wait(WITHIN_S)
        if self._is_apart:
            subprocess.run(["unshare", "--mount", "--cgroup", "sh", "-c", LEAVE], check=False, capture_output=True)


@pytest.fixture
def manager() -> Iterator[Manager]:
    folder = Path(tempfile.mkdtemp(prefix="kk-"))  # short: sockets lie below it
    found = Manager(folder)
    try:
        found.start()
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder)


def test_a_service_fires_without_a_kernel_and_after_crash_and_reboot(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(manager.folder / "config"))
    project = manager.folder / "50% of it's $mine"
    project.mkdir()
    home = Home(project / ".kernelkit")
    name = unit.unit_name(home)
    jobs = project / "jobs.py"
    jobs.write_text(
        "import kernelkit as kk\n\n@kk.task(cron='* * * * *')\nasync def tick(timestamp):\n    return 'ticked'\n"
    )

    def kernelkit(*words: str) -> str:
        return manager.run(sys.executable, "-m", "kernelkit", *words, "--home", str(home.path)).stdout

    def asked(*words: str) -> str:
        return manager.run("systemctl", "--user", *words, check=False).stdout.strip()

    def pid() -> int:
        return int(asked("show", name, "--property=MainPID", "--value"))

    def engine() -> int:
        return int(json.loads(kernelkit("service", "status", "--json"))["engine"] or 0)

    def fired() -> set[str]:
        runs = json.loads(kernelkit("runs", "--task", "tick", "--status", "completed", "--json"))["runs"]
        return {run["id"] for run in runs}

    # installed: it runs, from now on
    assert "It runs the engine, with pid" in kernelkit("service", "install")
    assert "Active: active (running)" in asked("status", name)
    assert asked("is-enabled", name) == "enabled"
    verified = manager.run("systemd-analyze", "--user", "verify", str(unit.unit_path(home)))
    assert verified.stderr == ""

    # a schedule fires with no kernel open
    kernelkit("serve", str(jobs), "--once")
    _until(lambda: len(fired()) >= 1, A_MINUTE_S)

    # it comes back when asked to, and when it is killed
    first = pid()
    asked("restart", name)
    _until(lambda: "It runs the engine, with pid" in kernelkit("service", "status"))
    second = pid()
    assert second != first
    os.kill(second, signal.SIGKILL)
    _until(lambda: pid() not in (0, second) and "It runs the engine" in kernelkit("service", "status"))

    # it lets others have the engine, and takes it from them
    kernelkit("restart")
    _until(lambda: "ActiveState=active" in asked("show", name) and pid() not in (0, engine()))
    standing_by = pid()
    assert "It stands by: the engine with pid" in kernelkit("service", "status")
    os.kill(engine(), signal.SIGKILL)
    _until(lambda: "It runs the engine, with pid" in kernelkit("service", "status"))
    assert pid() == standing_by, "it waited, and was not started anew"
    kernelkit("down", "--now")
    _until(lambda: "It stands by: `kernelkit down`" in kernelkit("service", "status"))
    kernelkit("up")

    # a reboot
    before = fired()
    manager.stop()
    manager.start()
    _until(lambda: "It runs the engine, with pid" in kernelkit("service", "status"))
    _until(lambda: bool(fired() - before), A_MINUTE_S)

    # an engine that cannot start, and a home that is not there
    (project / ".kernelkit" / "settings.json").write_text("no settings")
    asked("restart", name)
    _until(lambda: "systemd starts it again within 5 s" in kernelkit("service", "status"))
    away = home.path.rename(project / "away")
    _until(lambda: "there is no home" in kernelkit("service", "status"))
    assert not home.path.exists(), "the service made the home anew"
    (away / "settings.json").unlink()
    away.rename(home.path)
    asked("start", name)
    _until(lambda: "It runs the engine, with pid" in kernelkit("service", "status"))

    # gone without a trace
    assert kernelkit("service", "uninstall") == f"Removed {name}.\n"
    assert [path for path in (manager.folder / "config").rglob("*") if not path.is_dir()] == []
    assert asked("list-units", "--all", "--no-legend", "--plain", "kernelkit-*") == ""
    assert json.loads(kernelkit("service", "status", "--json"))["engine"] is None


def _until(is_so: Callable[[], bool], within: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
