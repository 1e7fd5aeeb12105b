from __future__ import annotations

import os
from pathlib import Path

import pytest

from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.leftovers import LEFT_FOR_S, Needed, needed, remove
from tests.engine.samples import Engine, item, spec

NOW_S = 1_800_000_000.0
OLD_S = NOW_S - LEFT_FOR_S - 1


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / ".kernelkit").create()


def put(path: Path, mtime: float) -> Path:
    path.write_bytes(b"12345")
    os.utime(path, (mtime, mtime))
    return path


def test_the_latest_code_of_each_task_is_needed_and_older_code_while_a_run_has_it() -> None:
    engine = Engine(spec(bundle="first", env_id="env1"), spec("mail", env_id="env3"))
    engine.trigger(item("run_1", bundle="first"))
    engine.take(c.DefineTask(spec(bundle="second", env_id="env2")))
    engine.take(c.DefineTask(spec(bundle="third", env_id="env2")))

    before = needed(engine.state)
    engine.succeed("run_1")
    engine.take(c.RetireWorker("w1"))
    after = needed(engine.state, ["env9"])

    assert {"first", "third", "mail-code"} == before.bundles - {""}
    assert before.environments == {"env1.json", "env2.json", "env3.json"}
    assert {"third", "mail-code"} == after.bundles - {""}
    assert after.environments == {"env1.json", "env2.json", "env3.json", "env9.json"}, "a worker of env1 still lives"


def test_a_run_that_waits_keeps_the_surroundings_it_was_triggered_from() -> None:
    engine = Engine(spec(env_id="env1", concurrency_limit=1))
    engine.trigger(item("run_1"))
    engine.trigger(item("run_2", bundle="resize-code", env_id="env7"))

    assert "env7.json" in needed(engine.state).environments


def test_old_files_that_nobody_needs_go_and_all_others_stay(home: Home) -> None:
    # Nothing ever deleted them: a notebook that captures 200 MB would have filled the disk in a day.
    stay = [
        put(home.bundles / "needed", OLD_S),
        put(home.bundles / "fresh", NOW_S - 60),
        put(home.environments / "env1.json", OLD_S),
    ]
    go = [
        put(home.bundles / "unneeded", OLD_S),
        put(home.bundles / ".unneeded.17.abcd", OLD_S),
        put(home.environments / "env2.json", OLD_S),
    ]

    removed = remove(home, Needed(frozenset({"needed"}), frozenset({"env1.json"})), NOW_S)

    assert removed == (3, 15)
    assert all(path.exists() for path in stay)
    assert not any(path.exists() for path in go)


def test_a_home_that_has_disappeared_is_no_trouble(tmp_path: Path) -> None:
    assert remove(Home(tmp_path / "gone"), Needed(frozenset(), frozenset()), NOW_S) == (0, 0)
