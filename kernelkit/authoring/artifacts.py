"""Files that belong to a run and are kept with it, in `artifacts/<run id>/` of the home.

They are written by the worker and read here, from the same disk: nothing of them passes through the engine, which only
removes what is too old. What a newcomer would get wrong: they appear while the run goes on, and change until it ends.
"""

from __future__ import annotations

import html
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import overload

from kernelkit.config import Home
from kernelkit.errors import StoreError, UnknownArtifactError


class Artifact:
    """One file of a run: `name`, `path`, `size` in bytes and `changed_at`.

    run.artifacts["daily.html"].read_text()
    """

    __slots__ = ("changed_at", "name", "path", "size")

    def __init__(self, path: Path) -> None:
        found = path.stat()
        self.path = path
        self.name = path.name
        self.size = found.st_size
        self.changed_at = datetime.fromtimestamp(found.st_mtime, UTC)

    def read_bytes(self) -> bytes:
        return self.path.read_bytes()

    def read_text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return f"<Artifact {self.name}, {self.size:,} bytes: {self.path}>"


class Artifacts(Sequence[Artifact]):
    """The files of a run by name, as they are when it is asked; by place or by name: `run.artifacts["daily.html"]`."""

    __slots__ = ("_all", "_run_id")

    def __init__(self, run_id: str, found: Sequence[Artifact]) -> None:
        self._run_id = run_id
        self._all = tuple(found)

    @overload
    def __getitem__(self, which: int | str) -> Artifact: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[Artifact]: ...
    def __getitem__(self, which: int | str | slice) -> Artifact | Sequence[Artifact]:
        if not isinstance(which, str):
            return self._all[which]
        for each in self._all:
            if each.name == which:
                return each
        names = ", ".join(each.name for each in self._all) or "it has none (yet, or no more)"
        raise UnknownArtifactError(
            f"The run {self._run_id} has no artifact {which!r}: {names}.", run_id=self._run_id, name=which
        )

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        return f"<artifacts of {self._run_id}: {', '.join(each.name for each in self._all) or 'none'}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(each.name)}</td><td>{each.size:,} bytes</td>"
            f"<td>{html.escape(str(each.path))}</td></tr>"
            for each in self._all
        )
        return f"<table>{rows}</table>" if rows else f"<p>The run {html.escape(self._run_id)} has no artifacts.</p>"


def folder_of(home: Home, run_id: str) -> Path:
    """Where the artifacts of a run lie."""
    return home.artifacts / run_id


def artifacts_of(home: Home, run_id: str) -> Artifacts:
    """The files of a run as they are now, by name; drafts that are being written are left out."""
    try:
        paths = sorted(path for path in folder_of(home, run_id).iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return Artifacts(run_id, ())
    found = []
    for path in paths:
        try:
            found.append(Artifact(path))
        except FileNotFoundError:  # removed just now
            continue
    return Artifacts(run_id, found)


def write_artifact(folder: Path, name: str, data: bytes) -> Path:
    """Put a file into a run's folder, readable by its owner alone: a reader finds the old file or the new one, whole.

    Raises `StoreError` when there is no space.
    """
    path = folder / name
    draft = folder / f".{name}.{secrets.token_hex(4)}"
    try:
        for each in (folder.parent.parent, folder.parent, folder):
            each.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
        os.replace(draft, path)
    except OSError as cause:
        draft.unlink(missing_ok=True)
        raise StoreError(f"{path} could not be written: {cause.strerror}.", path=str(path)) from cause
    return path
