"""What `%timeline` takes."""

from __future__ import annotations

import pytest

import kernelkit as kk
from kernelkit.errors import InvalidOptionError, UnknownRunError
from kernelkit.magics import runs
from kernelkit.testing import VirtualEngine, engine
from kernelkit.ui import bundles


def test_a_run_by_its_id_or_by_the_name_of_a_handle() -> None:
    with engine() as made:
        assert isinstance(made, VirtualEngine)

        @kk.task
        async def nothing() -> None: ...

        run = nothing.trigger()
        made.drain()

        assert runs.timeline(run.id, {}).tree is None
        by_name = runs.timeline("--tree run", {"run": run})
        assert by_name.run_id == run.id and by_name.tree is not None
        assert "attempt 1 completed" in bundles.timeline_bundle(runs.timeline("run", {"run": run}))["text/plain"]
        with pytest.raises(UnknownRunError):
            runs.timeline("run_nobody", {})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "%timeline takes one run"),
        ("run_1 run_2", "%timeline takes one run"),
        ("run_1 --depth", "`--depth` is no option of %timeline. Its only one is --tree."),
        ("run_1 --tree=yes", "Its only one is --tree"),
    ],
)
def test_what_it_cannot_read_it_refuses_in_words(line: str, told: str) -> None:
    with engine(), pytest.raises(InvalidOptionError, match=told):
        runs.timeline(line, {})
