"""`kernelkit service`: the unit's text, the words for every state, and what a systemd that refuses leaves behind.

Systemd itself is in tests/journeys/test_service.py; here stands a script that notes what it is told.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from kernelkit import daemon
from kernelkit.cli import service, unit
from kernelkit.config import Home
from kernelkit.version import __version__
from kernelkit.wire.discovery import is_held_by, lock_home, lock_owner, mark_down
from tests.cli.conftest import KernelKit

Systemctl = Callable[..., Path]


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemctl:
    """Puts a `systemctl` before the machine's, which fails at the word given; returns the file of what it was told."""

    def put(fails_at: str = "", says: str = "") -> Path:
        told, program = tmp_path / "told", tmp_path / "bin" / "systemctl"
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\necho "$2 $3 $4" >> "{told}"\n[ "$2" = "{fails_at}" ] && echo "{says}" >&2 && exit 1\nexit 0\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        return told

    return put


def test_the_unit_quotes_what_systemd_would_read_as_its_own(tmp_path: Path) -> None:
    home = Home(tmp_path / "it's 50% \\ $HOME" / ".kernelkit")

    text = unit.unit_text(home)

    path = str(home.path)
    assert f"\nConditionPathIsDirectory={path.replace('%', '%%')}\n" in text
    quoted = path.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    assert f'ExecStart={sys.executable} -P -m kernelkit.daemon --home "{quoted}" --keep --stand-by\n' in text
    assert unit.unit_name(home) != unit.unit_name(Home(tmp_path / "other" / ".kernelkit"))


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({}, "How it stands is not known"),
        ({"ActiveState": "active"}, "It is starting the engine."),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, "systemd starts it again within 5 s"),
        ({"ActiveState": "inactive", "ConditionResult": "yes"}, "It does not run (systemd says inactive)."),
        ({"ActiveState": "inactive", "ConditionResult": "no"}, "there is no home"),
        ({"ActiveState": "failed"}, "It has failed."),
    ],
)
def test_every_state_without_an_engine_has_its_words(tmp_path: Path, state: dict[str, str], told: str) -> None:
    home = Home(tmp_path / ".kernelkit")
    if state.get("ConditionResult") != "no":
        home.create()

    assert told in service._stands(home, state)


def test_the_unit_s_engine_is_told_from_another_s(tmp_path: Path) -> None:
    home = Home(tmp_path / ".kernelkit").create()
    lock = lock_home(home, version=__version__)
    owner = lock_owner(home)
    assert owner is not None

    its_own = service._stands(home, {"ActiveState": "active", "MainPID": str(owner.pid)})
    other = service._stands(home, {"ActiveState": "active", "MainPID": "1"})
    lock.release()
    mark_down(home)
    stopped = service._stands(home, {"ActiveState": "active", "MainPID": "1"})

    assert its_own == f"It runs the engine, with pid {owner.pid}."
    assert "It stands by" in other and "takes over" in other
    assert "`kernelkit up` starts it" in stopped


def test_lingering_is_looked_up_for_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "LINGERING", tmp_path)
    assert f"loginctl enable-linger {unit.user_name()}" in service._when_it_starts()

    (tmp_path / unit.user_name()).touch()

    assert service._when_it_starts() == "It starts with the machine, before anybody logs in."


def test_without_a_service_the_status_says_so(kernelkit: KernelKit) -> None:
    assert "No service is installed" in kernelkit("service", "status")
    assert json.loads(kernelkit("service", "status", "--json"))["installed"] is False


def test_without_systemd_the_command_to_start_is_told(
    kernelkit: KernelKit, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    said = kernelkit("service", "install", wanted=1)

    assert "no systemd" in said and f"kernelkit.daemon --home {home.path} --keep" in said
    assert not home.path.exists()


def test_without_a_user_session_nothing_is_left_and_the_reason_is_told(
    kernelkit: KernelKit, home: Home, tmp_path: Path, systemctl: Systemctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(fails_at="daemon-reload", says="Failed to connect to bus: No medium found")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)

    said = kernelkit("service", "install", wanted=1)

    assert "No medium found. XDG_RUNTIME_DIR is not set" in said
    assert not [path for path in (tmp_path / "config").rglob("*") if path.is_file()]
    assert not home.path.exists()


def test_a_start_that_fails_takes_its_links_back(
    kernelkit: KernelKit, home: Home, tmp_path: Path, systemctl: Systemctl
) -> None:
    told = systemctl(fails_at="restart", says="Job for it failed.")

    said = kernelkit("service", "install", wanted=1)

    name = unit.unit_name(home)
    assert "It said: Job for it failed." in said
    assert told.read_text().splitlines()[-3:] == [
        f"disable --now {name}",
        "daemon-reload  ",
        f"reset-failed {name} ",
    ]
    assert not (tmp_path / "config" / "systemd" / "user" / name).exists()


@pytest.mark.parametrize("why", ["another engine has it", "it was stopped by hand"])
def test_standing_by_ends_when_the_home_may_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    home = Home(tmp_path / ".kernelkit").create()
    lock = lock_home(home, version="other")
    other = lock_owner(home)
    if why == "it was stopped by hand":
        lock.release()
        mark_down(home)
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        lock.release()
        home.down_mark.unlink(missing_ok=True)

    monkeypatch.setattr(daemon, "time", SimpleNamespace(sleep=sleep))

    claimed = daemon._claim(home, stand_by=True)

    assert claimed is not None and len(waited) == 1
    assert not is_held_by(home, other), "a command that waits for the other engine's end would wait for this one's"
    claimed.release()


def test_standing_by_ends_with_the_home(tmp_path: Path) -> None:
    assert daemon._claim(Home(tmp_path / "gone"), stand_by=True) is None
