from __future__ import annotations

from kernelkit.engine import commands as c
from tests.engine.samples import Engine, item, spec


def test_old_code_is_kept_for_those_who_still_need_it_and_dropped_when_there_is_much_of_it() -> None:
    engine = Engine(spec(bundle="first"), capacity=c.Capacity(attempts=1))
    engine.trigger(item("run_1", bundle="first"))
    engine.trigger(item("run_2", bundle="first"))

    for number in range(300):
        engine.take(c.DefineTask(spec(bundle=f"code-{number}", fingerprint=f"f{number}")))

    assert {"first", "code-299"} <= engine.state.bundles.keys()
    assert len(engine.state.bundles) <= 64
    engine.succeed("run_1")
    assert engine.run("run_2").bundle == "first"


def test_code_that_is_used_again_counts_as_new() -> None:
    # What was dropped went by its first definition: the one a notebook triggered all day was the first to go.
    engine = Engine(spec(bundle="first"))
    for number in range(40):
        engine.take(c.DefineTask(spec(bundle=f"code-{number}", fingerprint=f"f{number}")))
    engine.trigger(item("run_1", bundle="first"))
    engine.succeed("run_1")
    engine.take(c.DefineTask(spec(bundle="code-1", fingerprint="f1")))

    for number in range(40, 64):
        engine.take(c.DefineTask(spec(bundle=f"code-{number}", fingerprint=f"f{number}")))

    assert len(engine.state.bundles) < 64, "some were dropped"
    assert {"first", "code-1"} <= engine.state.bundles.keys()
    assert "code-2" not in engine.state.bundles
