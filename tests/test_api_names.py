"""The names that people type: what the documentation promises is there, under `kk`, on the objects, as magics and as
commands. A name that is taken away or misspelt fails here; `test_public_surface.py` sees to their words and types."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import click
import pytest
from click.testing import CliRunner

import kernelkit as kk
from kernelkit import settings
from kernelkit.authoring.cellline import OPTIONS
from kernelkit.cli.main import COMMANDS, main
from kernelkit.magics.extension import KernelKitMagics
from kernelkit.testing import engine

HOOKS = (
    "on_start on_start_attempt on_success on_failure on_complete on_wait on_resume on_cancel catch_error init cleanup "
    "middleware"
)
TRIGGERS = "trigger batch_trigger trigger_and_wait batch_trigger_and_wait"

NAMES = {
    "kk": (
        "task tasks runs batch queues schedules tokens wait metadata tags logger locals retry usage heartbeats step "
        "track wait_until_done ctx configure sql notebook engine idempotency_keys NO_TIMEOUT Retry Queue OnError Item "
        "Debounce Client AsyncClient Context CancelSignal IdempotencyKey RunHandle BatchHandle Result Run Attempt "
        "Error RunStatus Table ScheduledPayload"
    ),
    "kk.tasks": f"list {TRIGGERS} {HOOKS}",
    "kk.runs": "list retrieve tree timeline cancel replay reschedule retry_now subscribe cancel_all replay_all",
    "kk.batch": "trigger trigger_and_wait retrieve",
    "kk.queues": "list retrieve pause resume set_concurrency reset_concurrency",
    "kk.schedules": ("task create list retrieve update activate deactivate delete run_now timezones preview"),
    "kk.tokens": "create retrieve list complete",
    "kk.wait": "for_ until for_token",
    "kk.metadata": "set delete append remove increment decrement replace get current flush parent root",
    "kk.tags": "add",
    "kk.logger": "debug info warn error span",
    "kk.locals": "create set get get_or_raise",
    "kk.retry": "on_throw fetch",
    "kk.usage": "current measure",
    "kk.heartbeats": "yield_",
    "kk.idempotency_keys": "create reset",
    "kk.engine": "status start stop restart logs",
    "kk.Task": f"id options local json_schema {TRIGGERS} {HOOKS}",
    "kk.RunHandle": (
        "id status result is_cached cancel replay reschedule retry_now tree timeline logs metadata refresh artifacts"
    ),
    "kk.BatchHandle": "id status runs counts result",
    "kk.Result": "ok output error unwrap",
    "kk.Run": (
        "id task_id status payload output error tags metadata attempts created_at queued_at started_at finished_at "
        "delay_until ttl queue concurrency_key priority machine version parent_id root_id depth batch_id schedule_id "
        "idempotency_key is_test is_replay is_completed waiting_for queued_reason usage"
    ),
    "kk.Attempt": "number status started_at finished_at error worker peak_memory",
    "kk.Error": "name message code traceback",
    "kk.Table": "columns rows df arrow",
    "kk.Client": ("home tasks runs batch queues schedules tokens idempotency_keys engine sql use close"),
    "kk.AsyncClient": "trigger batch_trigger retrieve cancel subscribe list_runs list_tasks reset_key sql status close",
    "kk.CancelSignal": "wait is_set reason",
    "kk.Retry": "max_attempts factor min_timeout max_timeout randomize on_out_of_memory",
    "kk.Debounce": "key delay mode max_delay",
    "kk.ScheduledPayload": "timestamp last_timestamp timezone schedule_id external_id upcoming",
}
ERRORS = (
    "KernelKitError EngineUnavailableError HomeLockedError VersionMismatchError StoreFullError UnknownTaskError "
    "DuplicateTaskError PayloadValidationError PayloadTooLargeError PayloadNotSerializableError "
    "OutputNotSerializableError TaskNotPicklableError AbortTaskRunError TaskTimeoutError WorkerLostError "
    "OutOfMemoryError CompleteTaskWithOutput SubtaskError WaitTimeoutError ReplayDivergedError QueueFullError "
    "InvalidCronError InvalidDurationError NotInTaskError"
).split()
STATUSES = (
    "PENDING_VERSION DELAYED QUEUED DEQUEUED EXECUTING WAITING COMPLETED FAILED CANCELED CRASHED SYSTEM_FAILURE "
    "EXPIRED TIMED_OUT"
).split()
MAGICS = {"line": "runs run_tree timeline schedules queues engine", "cell": "task kksql"}
PROGRAM = (
    "up down restart status doctor logs tasks runs trigger cancel replay schedules queues tokens serve notebook sql "
    "streams export config quickstart service"
).split()
TASK_OPTIONS = (
    "id description queue concurrency_limit retry retries machine max_duration ttl tags cron timezone isolation replace"
).split()
RUN_OPTIONS = (
    "delay tags idempotency_key idempotency_key_ttl queue concurrency_key priority ttl max_attempts machine test "
    "metadata debounce max_duration allow_undefined"
).split()
FILTERS = (
    "status task tag queue batch schedule machine version is_test created_from created_to period limit after before"
).split()


def _set_in_init(cls: type) -> set[str]:
    code = getattr(vars(cls).get("__init__"), "__code__", None)
    return set() if code is None else set(code.co_names)


@pytest.mark.parametrize("owner", NAMES)
def test_what_is_promised_is_there(owner: str) -> None:
    found: object = kk
    for part in owner.split(".")[1:]:
        found = getattr(found, part)

    known = set(dir(found)) | set(getattr(found, "__annotations__", {})) | set(getattr(found, "model_fields", {}))
    if inspect.isclass(found):  # fields, and what its constructor sets
        known |= set(inspect.signature(found).parameters)
        known |= {name for each in found.__mro__ for name in _set_in_init(each)}
    assert not set(NAMES[owner].split()) - known


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_one_of_ours(name: str) -> None:
    assert issubclass(getattr(kk, name), kk.KernelKitError)


def test_the_statuses_are_the_thirteen() -> None:
    assert sorted(kk.RunStatus) == sorted(STATUSES)


def test_the_magics_have_their_names() -> None:
    for kind, names in MAGICS.items():
        assert set(names.split()) <= set(KernelKitMagics.magics[kind])


def test_the_magics_help_names_every_option() -> None:
    told = KernelKitMagics.task.__doc__ or ""

    assert [name for name in OPTIONS if f"--{name}" not in told] == []


def test_the_program_has_its_commands() -> None:
    assert not set(PROGRAM) - set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_home_and_json(name: str) -> None:
    command: click.Command = getattr(importlib.import_module(f"kernelkit.cli.{COMMANDS[name][0]}"), name)
    commands = [command] if not isinstance(command, click.Group) else list(command.commands.values())

    for each in commands:
        options = {word for parameter in each.params for word in parameter.opts}
        assert {"--home", "--json"} <= options, each.name
    told = CliRunner().invoke(main, [name, "--help"])
    assert (told.exit_code, "Usage:" in told.output) == (0, True)


def test_the_options_of_a_task_have_their_names() -> None:
    given: dict[str, object] = {
        "id": "named",
        "description": "words",
        "queue": "q",
        "concurrency_limit": 1,
        "retry": kk.Retry(),
        "retries": 2,
        "machine": "micro",
        "max_duration": kk.NO_TIMEOUT,
        "ttl": "1h",
        "tags": ["t"],
        "cron": "0 9 * * *",
        "timezone": "Asia/Tokyo",
        "isolation": "process",
        "replace": True,
    }
    assert sorted(given) == sorted(TASK_OPTIONS)
    task: Any = kk.task  # by name, which types do not allow
    for name, value in given.items():

        def body() -> None: ...

        options = {name: value, "cron": "0 9 * * *"} if name == "timezone" else {name: value}
        assert task(**options)(body).id == ("named" if name == "id" else "body")
    with pytest.raises(kk.InvalidOptionError, match="retries"):
        task(retrys=1)(body)


def test_the_filters_of_a_list_have_their_names() -> None:
    assert not set(FILTERS) - set(inspect.signature(kk.runs.list).parameters)


def test_the_options_of_a_trigger_are_taken() -> None:
    @kk.task
    async def anything() -> None: ...

    given: dict[str, object] = {
        "delay": 1,
        "tags": "t",
        "idempotency_key": "k",
        "idempotency_key_ttl": "1h",
        "queue": None,
        "concurrency_key": "c",
        "priority": 1,
        "ttl": "1h",
        "max_attempts": 1,
        "machine": "micro",
        "test": True,
        "metadata": {"a": 1},
        "debounce": kk.Debounce("k", delay=1),
        "max_duration": 60,
        "allow_undefined": True,
    }
    assert sorted(given) == sorted(RUN_OPTIONS)
    for name, value in given.items():
        if value is not None and name not in ("idempotency_key_ttl", "allow_undefined"):
            anything.options(**{name: value})
    with pytest.raises(kk.InvalidOptionError, match="tag"):
        anything.options(tag="x")


def test_the_engine_of_tests_has_its_verbs() -> None:
    with engine() as eng:
        for verb in ("advance", "drain", "now"):
            assert hasattr(eng, verb)


def test_settings_that_the_pages_name_exist() -> None:
    assert not {"suspend_after", "strict_machines", "hold_for", "stalled_after", "keep_runs_days"} - set(settings.NAMES)
