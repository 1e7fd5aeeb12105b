from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kernelkit.authoring.kernelspecs import choose_kernel
from kernelkit.errors import TaskDefinitionError


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which kernels can be installed for this test."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return tmp_path / "kernels"


def install(kernels: Path, name: str, *argv: str, language: str = "python") -> None:
    (kernels / name).mkdir(parents=True)
    spec = {"argv": argv, "display_name": name, "language": language, "env": {"MODE": "job"}}
    (kernels / name / "kernel.json").write_text(json.dumps(spec))


def test_the_notebook_names_its_kernel_and_a_job_may_name_another(kernels: Path) -> None:
    install(kernels, "own", sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
    metadata = {"kernelspec": {"name": "own"}}

    chosen = choose_kernel(metadata, None, what="daily.ipynb")
    other = choose_kernel(metadata, "python3", what="daily.ipynb")

    assert (chosen.name, chosen.env, chosen.is_ipykernel, chosen.is_python) == ("own", {"MODE": "job"}, True, True)
    assert other.name == "python3"
    assert choose_kernel({}, None, what="daily.ipynb").name == "python3"


def test_a_kernel_that_is_not_installed_is_refused_with_those_that_are(kernels: Path) -> None:
    install(kernels, "analysis", sys.executable)

    with pytest.raises(TaskDefinitionError, match=r"daily\.ipynb asks for the kernel 'analysys'.*kernel='analysis'"):
        choose_kernel({"kernelspec": {"name": "analysys"}}, None, what="daily.ipynb")
    with pytest.raises(TaskDefinitionError, match=r"kernel= asks for the kernel '\.\./x'"):
        choose_kernel({}, "../x", what="daily.ipynb")


def test_a_kernel_whose_interpreter_is_gone_is_refused(kernels: Path) -> None:
    install(kernels, "old", "/opt/gone/bin/python", "-m", "ipykernel_launcher")

    with pytest.raises(TaskDefinitionError, match="starts with /opt/gone/bin/python, which is not there"):
        choose_kernel({"kernelspec": {"name": "old"}}, None, what="daily.ipynb")
