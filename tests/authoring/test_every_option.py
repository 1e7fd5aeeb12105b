"""Every option is a keyword, a flag and a row of the documentation, and means the same in each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from kernelkit.authoring.cellline import OPTIONS, read_line
from kernelkit.authoring.defaults import DEFAULTED
from kernelkit.authoring.options import TASK_OPTIONS, task_options
from kernelkit.authoring.run_options import RUN_OPTIONS, run_options
from kernelkit.authoring.timing import TIMING_OPTIONS
from kernelkit.cli.tasks import trigger
from kernelkit.config import EngineSettings

DOCS = Path(__file__).resolve().parents[2] / "docs"

# By option: what stands behind its flag, and the keyword's value that means the same.
OF_A_TASK: dict[str, tuple[str, Any]] = {
    "id": ("resize", "resize"),
    "description": ('"Makes thumbnails"', "Makes thumbnails"),
    "queue": ("images", "images"),
    "concurrency_limit": ("5", 5),
    "rate_limit": ("100/m", "100/m"),
    "retries": ("4", 4),
    "machine": ("large-1x", "large-1x"),
    "max_duration": ("30m", 1800),
    "ttl": ("1h", 3600),
    "log_level": ("debug", "debug"),
    "tags": ("daily,images", ["daily", "images"]),
    "isolation": ("process", "process"),
    "replace": ("", True),
}
OF_A_TRIGGER: dict[str, tuple[str, Any]] = {
    "tags": ("user_1", ["user_1"]),
    "max_attempts": ("1", 1),
    "metadata": ('{"n": 1}', {"n": 1}),
    "queue": ("paid", "paid"),
    "concurrency_key": ("user_1", "user_1"),
    "priority": ("10", 10),
    "delay": ("10m", 600),
    "ttl": ("1h", 3600),
    "max_duration": ("none", "none"),
    "machine": ("large-1x", "large-1x"),
    "test": ("", True),
    "allow_undefined": ("", True),
    "idempotency_key": ("payment-1", "payment-1"),
    "idempotency_key_ttl": ("24h", 86_400),
}
NO_FLAG = {"retry", "debounce", *TIMING_OPTIONS}  # an object; or of schedules, which have their own test


def rows(page: str) -> set[str]:
    text = (DOCS / page).read_text()
    return {name for line in text.splitlines() if line.startswith("|") for name in re.findall(r"`(\w+)`", line)}


@pytest.mark.parametrize("name", [name for name in TASK_OPTIONS if name not in NO_FLAG])
def test_an_option_of_a_task_is_keyword_and_flag(name: str) -> None:
    text, value = OF_A_TASK[name]

    said = read_line(f"--{name.replace('_', '-')} {text}").options

    assert task_options("f", said) == task_options("f", {name: value}) != task_options("f", {})


def test_every_flag_of_a_cell_is_an_option() -> None:
    assert {flag.replace("-", "_") for flag in OPTIONS} <= set(TASK_OPTIONS)


@pytest.mark.parametrize("name", [name for name in RUN_OPTIONS if name not in NO_FLAG])
def test_an_option_of_a_trigger_is_keyword_and_flag(name: str) -> None:
    text, value = OF_A_TRIGGER[name]
    flag = "--tag" if name == "tags" else f"--{name.replace('_', '-')}"

    context = trigger.make_context("trigger", ["resize", flag, *([text] if text else [])])

    parameter = next(each for each in trigger.params if flag in each.opts)
    assert isinstance(parameter, click.Option)
    given = context.params[str(parameter.name)]
    if name == "metadata":
        given = value
    assert run_options(**{name: given}) == run_options(**{name: value})
    assert run_options(**{name: value}).given


def test_every_option_and_setting_is_documented() -> None:
    assert set(TASK_OPTIONS) | set(RUN_OPTIONS) <= rows("options.md")
    assert set(EngineSettings.__struct_fields__) <= rows("configuration.md")


def test_what_a_process_may_default_are_options_of_a_task() -> None:
    assert set(DEFAULTED) <= set(TASK_OPTIONS)
