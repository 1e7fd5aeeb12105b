"""Where a task's options come from: its own, then those of its process, then those of its project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.authoring import defaults
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The pyproject.toml of the project this process works in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KERNELKIT_HOME", raising=False)
    (tmp_path / ".kernelkit").mkdir()
    with defaults.forgotten_after():
        yield tmp_path / "pyproject.toml"


async def body() -> None: ...


def test_02_4_a_default_fills_only_what_a_task_leaves_out(project: Path) -> None:
    project.write_text(
        "[tool.kernelkit]\nmachine = 'micro'\nmax_duration = '30m'\nttl = '1h'\n"
        "retry = {max_attempts = 5, min_timeout = '2s', on_out_of_memory = 'large-1x'}\n"
    )

    filled = kk.task()(body)
    own = kk.task(machine="small-2x", retries=2)(body)

    assert (filled.machine, filled.retry.max_attempts, filled.retry.min_timeout) == ("micro", 5, 2.0)
    assert filled.retry.on_out_of_memory == "large-1x"
    assert (own.machine, own.retry.max_attempts) == ("small-2x", 2)


def test_02_4_retry_is_never_merged(project: Path) -> None:
    project.write_text("[tool.kernelkit.retry]\nmax_attempts = 7\nmin_timeout = 9\n")
    kk.configure(retry=kk.Retry(factor=3))

    plain = kk.task(body)
    own = kk.task(retry=kk.Retry(min_timeout=2))(body)
    once = kk.task(retry=None)(body)

    assert (plain.retry.factor, plain.retry.max_attempts, plain.retry.min_timeout) == (3, 3, 1)
    assert (own.retry.min_timeout, own.retry.factor, own.retry.max_attempts) == (2, 2, 3)
    assert once.retry.max_attempts == 1


def test_02_4_process_goes_before_project_and_counts_from_then_on(project: Path) -> None:
    project.write_text("[tool.kernelkit]\nretries = 9\nmachine = 'micro'\n")

    before = kk.task(body)
    kk.configure(retries=4)
    between = kk.task(body)
    kk.configure(machine=None)
    after = kk.task(body)

    assert [each.retry.max_attempts for each in (before, between, after)] == [9, 4, 4]
    assert [each.machine for each in (before, between, after)] == ["micro", "micro", None]


def test_02_4_a_changed_file_counts_for_the_next_definition(project: Path) -> None:
    project.write_text("[tool.kernelkit]\nretries = 9\n")
    before = kk.task(body)

    project.write_text("[tool.kernelkit]\nretries = 10\n")

    assert (before.retry.max_attempts, kk.task(body).retry.max_attempts) == (9, 10)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.kernelkit]\nretrys = 9\n", r"pyproject.toml, table \[tool.kernelkit\]: 'retrys' .* mean 'retrys?"),
        ("[tool.kernelkit]\nmachine = 'tiny'\n", r"pyproject.toml, table .*: machine='tiny' is not a machine preset"),
        ("[tool.kernelkit]\nttl = 'soon'\n", r"pyproject.toml, table .*: ttl='soon' is not a duration"),
        ("[tool.kernelkit.retry]\nmax_attempt = 3\n", "'max_attempt' is not an option .* mean 'max_attempts'"),
        ("[tool.kernelkit.retry]\nfactor = 0.5\n", "factor=0.5"),
        ("[tool]\nkernelkit = 3\n", "tool.kernelkit is not a table"),
        ("[tool.kernelkit", "pyproject.toml cannot be read"),
    ],
)
def test_02_3_what_the_project_says_wrongly_is_named(project: Path, text: str, words: str) -> None:
    project.write_text(text)

    with pytest.raises(kk.InvalidOptionError, match=words):
        kk.task(body)


def test_02_3_engine_settings_are_not_the_tasks_business(project: Path) -> None:
    project.write_text("[tool.kernelkit.engine]\nwhatever = 1\n")

    assert kk.task(body).retry.max_attempts == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"machin": "micro"}, "Did you mean 'machine'"),
        ({"machine": "tiny"}, "not a machine preset"),
        ({"retries": 0}, "retries=0"),
        ({"retry": 3}, "write retries=3"),
        ({"log_level": "loud"}, "log_level='loud'"),
    ],
)
def test_02_what_configure_cannot_take_changes_nothing(project: Path, given: dict[str, object], words: str) -> None:
    with pytest.raises(kk.InvalidOptionError, match=words):
        kk.configure(max_duration="1m", **given)  # type: ignore[arg-type]  # wrong on purpose

    assert defaults.with_defaults({}) == {}


def test_02_4_durations_and_time_to_live_reach_the_run(stage: Stage) -> None:
    kk.configure(max_duration="30m", ttl="1h")

    @kk.task(id="d-default")
    async def by_default() -> None: ...

    @kk.task(id="d-own", max_duration=kk.NO_TIMEOUT, ttl=0)
    async def own() -> None: ...

    kk.configure(max_duration=kk.NO_TIMEOUT, ttl=0)
    one, other, third = by_default.trigger(), own.trigger(), by_default.options(ttl="2m", max_duration="5m").trigger()
    stage.finish()

    assert [(run.refresh().max_duration, run.refresh().ttl) for run in (one, other, third)] == [
        (1800, 3600),
        (None, None),
        (300, 120),
    ]


def test_02_what_is_configured_inside_a_test_engine_is_dropped_with_it() -> None:
    with engine():
        kk.configure(machine="micro")
        assert kk.task(body).machine == "micro"

    assert kk.task(body).machine is None
