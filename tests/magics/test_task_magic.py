"""The magics in a real IPython shell, with a scripted engine behind them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from kernelkit.authoring import caller as callers
from kernelkit.authoring.bundle import load_bundle
from kernelkit.authoring.caller import Heard
from kernelkit.authoring.task import Task
from kernelkit.client.client import Client
from kernelkit.client.engine import EngineControl
from kernelkit.clock import WallClock
from kernelkit.config import Home
from kernelkit.errors import DuplicateTaskError, EngineUnavailableError, KernelKitError, TaskDefinitionError
from kernelkit.magics import extension
from kernelkit.magics.above import comments_below
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.models.task import Owner, TaskSpec
from kernelkit.wire.discovery import mark_down
from kernelkit.wire.messages import (
    Defined,
    DefineTask,
    Done,
    EngineStatus,
    GetStatus,
    ListRuns,
    ReplyBody,
    RequestBody,
    RunChanged,
    RunPage,
    Sql,
    StopEngine,
    TableReply,
    Trigger,
    Triggered,
    Welcome,
)


@dataclass(eq=False)
class ScriptedCaller:
    """An engine that takes every task, unless `refusal` says otherwise."""

    home: Home
    inside_run: bool = False
    owner: Owner = field(default_factory=lambda: Owner("notebook", "/thumbs/thumbs.ipynb"))
    refusal: KernelKitError | None = None
    asked: list[RequestBody] = field(default_factory=list)

    def call(self, body: RequestBody) -> ReplyBody:
        self.asked.append(body)
        if self.refusal is not None:
            raise self.refusal
        match body:
            case DefineTask(spec=spec):
                versions = {one.spec.fingerprint for one in self.all(DefineTask) if one.spec.id == spec.id}
                return Defined(spec.id, f"20261122.{len(versions)}", True)
            case Trigger(items=items):
                return Triggered(tuple(item.run_id for item in items))
            case GetStatus():
                return EngineStatus(7, "0.1", str(self.home.path), WallClock().now(), {}, 0, 100, (), 1)
            case ListRuns():
                return RunPage((), False, 0)
            case Sql():
                return TableReply(("one",), ("INTEGER",), ((1,),))
            case StopEngine():
                return Done()
        raise AssertionError(f"not scripted: {body}")

    def all(self, kind: type[Any]) -> list[Any]:
        return [body for body in self.asked if isinstance(body, kind)]

    @property
    def specs(self) -> list[TaskSpec]:
        return [body.spec for body in self.all(DefineTask)]

    @property
    def is_connected(self) -> bool:
        return False

    def connect(self, *, start: bool = True, explicit: bool = False, keep: bool = False) -> Welcome:
        if self.refusal is not None:
            raise self.refusal
        return Welcome(7, 1, "0.1", str(self.home.path), 0)

    def submit(self, body: RequestBody) -> Future[ReplyBody]:
        answer: Future[ReplyBody] = Future()
        answer.set_result(self.call(body))
        return answer

    def outcome(self, run_id: str) -> Future[Run]:
        return Future()

    def outcomes(self, run_ids: Sequence[str]) -> Future[list[Run]]:
        return Future()

    def subscribe(self, where: RunFilter, heard: Heard) -> Callable[[], None]:
        return lambda: None

    def watch(self, run_id: str, changed: Callable[[RunChanged], None]) -> Callable[[], None]:
        return lambda: None


@dataclass
class Notebook:
    shell: InteractiveShell
    engine: ScriptedCaller

    def run(self, source: str) -> str:
        """Run a cell and give what it printed; raises what it raised, once IPython has shown it."""
        text, self.failure = self.try_run(source)
        if self.failure is not None:
            raise self.failure
        return text

    def try_run(self, source: str) -> tuple[str, BaseException | None]:
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            result = self.shell.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]  # IPython has none
        text = re.sub(r"\x1b\[\d*m", "", out.getvalue())
        return text, result.error_before_exec or result.error_in_exec

    def refuse(self, source: str) -> str:
        """What is on the screen after a cell that fails."""
        text, failure = self.try_run(source)
        assert failure is not None, text
        return text

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=config)
    engine = ScriptedCaller(Home(tmp_path / ".kernelkit").create())
    with callers.use(engine):
        extension.load(shell, EngineControl(engine))
        try:
            yield Notebook(shell, engine)
        finally:
            extension.unload(shell)
            assert shell.history_manager is not None
            shell.history_manager.end_session()
            InteractiveShell.clear_instance()


# ---- defining --------------------------------------------------------------------------------------------------------


def test_a_cell_becomes_a_task_under_its_name(notebook: Notebook) -> None:
    shown = notebook.run("%%task make_thumb(url: str, width: int = 512) --queue images --retries 5\nreturn url, width")

    assert shown.strip() == "make-thumb  version 20261122.1  (url: str, width: int = 512)  queue images"
    task = notebook["make_thumb"]
    assert isinstance(task, Task)
    assert task(url="a") == ("a", 512)
    (spec,) = notebook.engine.specs
    assert (spec.id, spec.queue, spec.retry.max_attempts, spec.isolation) == ("make-thumb", "images", 5, "process")


def test_a_cell_that_awaits_is_an_async_task(notebook: Notebook) -> None:
    notebook.run("%%task f()\nimport asyncio\nawait asyncio.sleep(0)\nreturn 1")

    assert notebook.engine.specs[0].isolation == "shared"


def test_options_over_a_function_make_the_same_task(notebook: Notebook) -> None:
    notebook.run("%%task --id resize\nasync def f(url: str) -> dict:\n    return {'url': url}")

    assert notebook["f"].id == "resize"
    assert notebook.engine.specs[0].explicit_id


def test_a_decorated_function_is_registered_at_once(notebook: Notebook) -> None:
    notebook.run("from kernelkit.authoring.decorator import task\n@task(queue='q')\ndef f(): return 1")

    assert [spec.id for spec in notebook.engine.specs] == ["f"]


def test_braces_and_dollars_on_the_magic_line_are_left_alone(notebook: Notebook) -> None:
    notebook.run("x = 5")
    notebook.run("%%task f(a: str = '{x} $x')\nreturn a")

    assert notebook["f"]() == "{x} $x"


def test_a_cell_run_again_replaces_its_task_and_changed_code_makes_a_version(notebook: Notebook) -> None:
    notebook.run("%%task f()\nreturn 1")
    assert "version 20261122.1" in notebook.run("%%task f()\nreturn 1")
    assert "version 20261122.2" in notebook.run("%%task f()\nreturn 2")

    assert notebook["f"]() == 2


def test_the_engine_gets_a_bundle_that_loads_with_the_cells_number(notebook: Notebook) -> None:
    notebook.run("factor = 3")
    notebook.run("%%task f(n: int)\nreturn n * factor")

    (spec,) = notebook.engine.specs
    loaded = load_bundle(notebook.engine.home, spec.bundle)
    assert loaded.function(2) == 6
    assert loaded.function.__code__.co_filename == "<Cell [2]>"
    assert (notebook.engine.home.environments / f"{spec.env_id}.json").exists()


def test_a_helpers_cell_is_named_in_a_worker_as_in_the_notebook(notebook: Notebook) -> None:
    notebook.run("def helper():\n    return 1 / 0")
    notebook.run("%%task f()\nreturn helper()")

    loaded = load_bundle(notebook.engine.home, notebook.engine.specs[0].bundle)

    helper = loaded.function.__globals__["helper"]
    assert helper.__code__.co_filename == "<Cell [1]>"
    assert loaded.sources["<Cell [1]>"].startswith("def helper")


def test_future_imports_of_the_notebook_apply_to_tasks(notebook: Notebook) -> None:
    notebook.run("from __future__ import annotations")
    notebook.run("%%task f(x: list[int])\nreturn x")

    assert notebook["f"].function.__annotations__ == {"x": "list[int]"}


def test_kk_is_bound_for_the_bodies_of_tasks(notebook: Notebook) -> None:
    notebook.run("%%task f()\nreturn kk")

    assert notebook["f"]().__name__ == "kernelkit"


# ---- captured globals ------------------------------------------------------------------------------------------------


def test_a_definition_reports_what_cannot_travel_and_the_trigger_refuses(notebook: Notebook) -> None:
    notebook.run("import threading\nlock = threading.Lock()")
    shown = notebook.run("%%task f()\nwith lock:\n    return later")

    assert "f  ()" in shown
    assert "uses `lock` (a _thread.lock, assigned in cell [1]), which cannot be sent to a worker" in shown
    assert "reads `later`, which is defined nowhere. Run the cell that defines `later`" in shown
    told = notebook.refuse("f.trigger()")
    assert "`lock` (a _thread.lock, assigned in cell [1])" in told
    assert not notebook.engine.all(Trigger)


def test_a_name_defined_after_the_task_is_found_at_the_trigger(notebook: Notebook) -> None:
    assert "reads `later`" in notebook.run("%%task f()\nreturn later")
    notebook.run("later = 5")

    notebook.run("run = f.trigger()")

    (trigger,) = notebook.engine.all(Trigger)
    assert load_bundle(notebook.engine.home, trigger.items[0].bundle).function() == 5


def test_much_data_is_told_with_its_cell(notebook: Notebook) -> None:
    notebook.run("table = bytes(12_000_000)")
    shown = notebook.run("%%task f()\nreturn len(table)")

    assert "ships 12.0 MB with every change: table (bytes, 12.0 MB, cell [1])" in shown


def test_a_task_may_trigger_itself_and_others(notebook: Notebook) -> None:
    notebook.run("%%task g()\nreturn 1")
    shown = notebook.run("%%task f()\nreturn f, g")
    notebook.run("f.trigger()")

    assert shown.strip() == "f  version 20261122.1  ()"
    loaded = load_bundle(notebook.engine.home, notebook.engine.all(Trigger)[0].items[0].bundle)
    assert [type(one).__name__ for one in loaded.function()] == ["TaskReference", "TaskReference"]


def test_a_decorated_task_may_trigger_itself_when_it_is_triggered_by_id(notebook: Notebook) -> None:
    notebook.run("from kernelkit.authoring.decorator import task\n@task\ndef f(): return f\ndef plain(): return plain")
    notebook.run("g = task(plain)")

    loaded = load_bundle(notebook.engine.home, notebook.engine.specs[0].bundle)

    assert type(loaded.function()).__name__ == "TaskReference"
    assert callable(notebook["plain"])
    assert not isinstance(notebook["plain"], Task)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def test_a_syntax_error_shows_words_and_no_frames(notebook: Notebook) -> None:
    shown = notebook.refuse("%%task f()\nx = 1\nif x\n    return 2")

    assert "TaskDefinitionError: Cell [1] f, line 3: expected ':'.\n    if x\n        ^" in shown
    assert "Traceback" not in shown
    assert "run_cell_magic" not in shown
    assert "f" not in notebook.shell.user_ns


def test_an_unknown_option_shows_words(notebook: Notebook) -> None:
    shown = notebook.refuse("%%task f() --retry 3\nreturn 1")

    assert "`--retry` is no option of %%task. Did you mean `--retries`?" in shown
    assert "Traceback" not in shown


def test_an_option_out_of_bounds_shows_words(notebook: Notebook) -> None:
    assert "retries=0 is not a whole number from 1" in notebook.refuse("%%task f() --retries 0\nreturn 1")


def test_a_global_read_before_it_is_assigned_shows_words(notebook: Notebook) -> None:
    notebook.run("total = 1")

    shown = notebook.refuse("%%task f()\ntotal = total + 1\nreturn total")

    assert "Cell [2] f, line 2: `total` is read here but assigned on the same line" in shown


def test_an_id_of_another_notebook_shows_words_and_leaves_the_old_task(notebook: Notebook) -> None:
    notebook.run("%%task f()\nreturn 1")
    notebook.engine.refusal = DuplicateTaskError("'f' belongs to notebook b.ipynb, which is connected.")

    for source in ("%%task f()\nreturn 2", "%%task --replace\ndef f(): return 2"):
        shown = notebook.refuse(source)
        assert "DuplicateTaskError: 'f' belongs to notebook b.ipynb" in shown
        assert "Traceback" not in shown
        assert notebook["f"]() == 1


def test_an_error_of_the_engine_being_away_keeps_the_task(notebook: Notebook) -> None:
    notebook.engine.refusal = EngineUnavailableError("No engine runs. Start it with `%engine start`.")

    shown = notebook.run("%%task f()\nreturn 1")

    assert "not registered yet: No engine runs. Start it with `%engine start`." in shown
    assert notebook["f"]() == 1


def test_an_empty_cell_shows_words(notebook: Notebook) -> None:
    assert "the cell body is empty" in notebook.refuse("%%task f()")


def test_a_refused_call_shows_the_persons_lines_alone(notebook: Notebook) -> None:
    notebook.run("%%task f(n: int)\nreturn n")
    notebook.run("def start():\n    return f.trigger(n='many')")

    shown = notebook.refuse("start()")

    assert "Traceback" in shown
    assert "return f.trigger(n='many')" in shown
    assert "PayloadValidationError: f(n: int) does not accept this payload" in shown
    assert "triggering.py" not in shown
    assert "task.py" not in shown
    assert "1 / 0" in notebook.refuse("1 / 0")


# ---- above the magic -------------------------------------------------------------------------------------------------


def test_comments_may_stand_above_and_lines_stay_right(notebook: Notebook) -> None:
    source = "# thumbnails\n\n# two lines\n%%task f()\nx = 1\nraise ValueError(x)"
    notebook.run(source)

    with pytest.raises(ValueError, match="1") as caught:
        notebook["f"]()

    assert caught.tb is not None
    line = caught.traceback[-1].lineno + 1
    assert source.splitlines()[line - 1] == "raise ValueError(x)"


def test_blank_lines_above_do_not_move_the_lines(notebook: Notebook) -> None:
    assert "line 4: " in notebook.refuse("\n\n%%task f()\nx = (\n")


def test_code_above_the_magic_is_explained(notebook: Notebook) -> None:
    shown = notebook.refuse("import math\n%%task f()\nreturn math.pi")

    assert "`%%task f()` must be the first line of its cell; only comments may stand above it." in shown
    assert "Move `import math` to a cell of its own." in shown
    assert "not found" not in shown
    assert "%load_ext" in notebook.refuse("%load_ext kernelkit\n%%task f()\nreturn 1")


def test_texts_and_other_cell_magics_that_hold_the_word_are_left_alone() -> None:
    for lines in (['x = """\n', "%%task f()\n", '"""\n'], ["%%time\n", "%%task f()\n", "return 1\n"], ["%%task f()\n"]):
        assert comments_below(lines) == lines
    with pytest.raises(TaskDefinitionError):
        comments_below(["x = 1\n", "%%task f()\n"])


# ---- the other magics ------------------------------------------------------------------------------------------------


def test_runs_asks_with_its_filters(notebook: Notebook) -> None:
    shown = notebook.run("%runs --status failed,crashed --task resize --limit 5")

    (asked,) = notebook.engine.all(ListRuns)
    assert (asked.status, asked.task, asked.limit) == (("FAILED", "CRASHED"), ("resize",), 5)
    assert "No run with status failed or crashed, task resize" in shown
    assert "Did you mean `--status`?" in notebook.refuse("%runs --state failed")
    assert "status='failedd' is no status" in notebook.refuse("%runs --status failedd")


def test_engine_shows_and_refuses_in_words(notebook: Notebook) -> None:
    assert "Engine not running" in notebook.run("%engine")
    assert "No engine runs, so there is none to stop" in notebook.run("%engine stop")
    assert "pid 7" in notebook.run("%engine start")
    assert "There is no engine log yet" in notebook.run("%engine logs")
    assert "`%engine strat` is unknown. There are `%engine status`" in notebook.refuse("%engine strat")


# ---- loading ---------------------------------------------------------------------------------------------------------


def test_loading_is_quiet_and_loading_twice_doubles_nothing(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    extension.load(notebook.shell)
    assert capsys.readouterr().out == ""

    notebook.run("from kernelkit.authoring.decorator import task\n@task\ndef f(): return 1")

    assert len(notebook.engine.specs) == 1
    assert notebook.shell.input_transformers_cleanup.count(comments_below) == 1


def test_loading_without_an_engine_says_one_line(
    notebook: Notebook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "stopped").create()
    mark_down(home)
    client = Client(home)

    with client.use():
        extension.load(notebook.shell)

    shown = capsys.readouterr().out
    assert "KernelKit is loaded, but not attached to an engine." in shown
    assert "`%engine start`" in shown
    client.close()


def test_unloading_takes_the_magics_away(notebook: Notebook) -> None:
    extension.unload(notebook.shell)

    assert "not found" in notebook.refuse("%%task f()\nreturn 1")
    assert "not found" in notebook.refuse("%runs")
    extension.unload(notebook.shell)


def test_a_hook_of_a_task_is_told_at_once_and_a_refusal_leaves_the_task_bound(notebook: Notebook) -> None:
    notebook.run("from kernelkit.authoring.decorator import task\n@task\ndef f(): return 1")

    notebook.run("@f.on_start\ndef log(): ...")
    first, second = notebook.engine.specs
    assert (first.id, second.id) == ("f", "f")
    assert first.fingerprint != second.fingerprint

    notebook.engine.refusal = DuplicateTaskError("f belongs to another notebook")
    assert "belongs to another notebook" in notebook.refuse("@f.on_success\ndef tell(output): ...")
    assert isinstance(notebook["f"], Task)


def test_kksql_shows_the_answer_or_keeps_it(notebook: Notebook) -> None:
    shown = notebook.run("%%kksql\nselect 1 as one")
    kept = notebook.run("%%kksql answer <<\nselect 1 as one")

    assert [asked.text for asked in notebook.engine.all(Sql)] == ["select 1 as one\n"] * 2
    assert "one" in shown and "(1 row)" in shown
    assert kept == ""
    assert notebook.shell.user_ns["answer"].rows == ((1,),)
    assert "`%%kksql answer` is not understood" in notebook.refuse("%%kksql answer\nselect 1")
    assert "takes a SELECT as text" in notebook.refuse("%%kksql\n ")


def test_runs_takes_every_filter(notebook: Notebook) -> None:
    notebook.run(
        "%runs --queue a,b --machine micro --is-test --created-from 2027-01-01T00:00Z "
        "--version 20270101.1 --before run_9"
    )
    notebook.run("%runs --is-test no --period 7d")

    first, second = notebook.engine.all(ListRuns)
    assert (first.queue, first.machine, first.is_test, first.version) == (("a", "b"), ("micro",), True, ("20270101.1",))
    assert (first.before, first.created_from) == ("run_9", 1_798_761_600_000_000)
    assert (second.is_test, second.period_s) == (False, 604_800.0)
    assert "has no time zone" in notebook.refuse("%runs --created-from 2027-01-01")
    assert "is no option of %runs" in notebook.refuse("%runs failed")
