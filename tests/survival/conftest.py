"""A project of real processes, and the promise that none of them is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.survival.project import Project

MakeProject = Callable[..., Project]


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[MakeProject]:
    """Makes a project with these engine settings; `folder` puts it elsewhere than the test's own folder."""
    made: list[Project] = []

    def make(*, folder: Path | None = None, **settings: float) -> Project:
        project = Project(folder or tmp_path / f"project{len(made)}", **settings)
        made.append(project)
        return project

    yield make
    for project in made:
        project.close()


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """One project with the settings as they come."""
    return make_project()
