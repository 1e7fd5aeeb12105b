from __future__ import annotations

from pathlib import Path

import pytest

from kernelkit.authoring.artifacts import artifacts_of, folder_of, write_artifact
from kernelkit.config import Home
from kernelkit.errors import StoreError, UnknownArtifactError


def test_files_are_kept_by_run_and_name_and_closed_to_others(tmp_path: Path) -> None:
    home = Home(tmp_path / ".kernelkit").create()

    write_artifact(folder_of(home, "run_1"), "daily.html", b"<p>old</p>")
    path = write_artifact(folder_of(home, "run_1"), "daily.html", "<p>né</p>".encode())
    write_artifact(folder_of(home, "run_1"), "daily.ipynb", b"{}")

    found = artifacts_of(home, "run_1")
    assert [each.name for each in found] == ["daily.html", "daily.ipynb"]
    assert (found["daily.html"].read_text(), found[1].size, found["daily.ipynb"].read_bytes()) == (
        "<p>né</p>",
        2,
        b"{}",
    )
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "daily.html" in found._repr_html_() and "daily.ipynb" in repr(found)


def test_a_run_without_files_has_none_and_says_so(tmp_path: Path) -> None:
    found = artifacts_of(Home(tmp_path), "run_2")

    assert len(found) == 0
    with pytest.raises(UnknownArtifactError, match=r"run_2 has no artifact 'daily\.html': it has none"):
        found["daily.html"]


def test_a_file_that_cannot_be_written_leaves_no_draft(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts" / "run_1"
    (folder / "daily.html").mkdir(parents=True)

    with pytest.raises(StoreError, match=r"daily\.html could not be written"):
        write_artifact(folder, "daily.html", b"x")

    assert [each.name for each in folder.iterdir()] == ["daily.html"]
