"""What a figure was measured on: the commit, the versions, the disk, how busy the machine was.

Private homes go on a real disk, since a flush to a memory file system costs nothing and would flatter every figure.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).parents[2]
_IN_MEMORY = {"tmpfs", "ramfs", "overlay", "devtmpfs"}


def commit() -> str:
    """The commit that is checked out, with `+` behind it when the package differs from it."""
    found = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", "kernelkit", "tests/benchmarks")
    return (found or "unknown") + ("+" if changed else "")


def facts(*packages: str) -> dict[str, Any]:
    """What belongs beside every figure."""
    return {
        "commit": commit(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "disk": file_system(scratch_root()),
        "versions": {name: version(name) for name in ("duckdb", "msgspec", *packages)},
        "loadavg": [round(each, 2) for each in os.getloadavg()],
        "scheduling": _scheduling(),
    }


def _scheduling() -> str:
    """The word "normal", or the class that `chrt` gave us and all we started, so that a busy machine disturbs less."""
    names = {os.SCHED_OTHER: "normal", os.SCHED_FIFO: "fifo", os.SCHED_RR: "round robin"}
    return names.get(os.sched_getscheduler(0), "other")


def scratch_root() -> Path:
    """The first folder that lies on a disk; `BENCHMARK_DIR` names another."""
    named = os.environ.get("BENCHMARK_DIR")
    if named:
        return Path(named)
    candidates = [Path(tempfile.gettempdir()), Path("/var/tmp"), REPOSITORY]
    return next((each for each in candidates if file_system(each) not in _IN_MEMORY), candidates[0])


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder of one's own on that disk, removed afterwards."""
    root = scratch_root()
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"kernelkit-{name}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_system(folder: Path) -> str:
    """The type of the file system that `folder` is on."""
    real = str(folder.resolve())
    mounts = [part for part in psutil.disk_partitions(all=True) if _is_below(real, part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def run_module(module: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    """A quiet child that runs one of our modules or a dependency's program."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _is_below(path: str, mountpoint: str) -> bool:
    return path == mountpoint or path.startswith(mountpoint.rstrip("/") + "/")


def _git(*arguments: str) -> str:
    with contextlib.suppress(OSError):
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return done.stdout.strip()
    return ""
