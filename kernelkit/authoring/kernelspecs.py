"""Which kernel a notebook runs in, found and checked where its job is defined.

A worker may see other kernels than the notebook's author does, so the whole specification travels with the job. What a
newcomer would get wrong: `python` as the program means the interpreter that starts the kernel, not the one on PATH.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import shutil
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from kernelkit.errors import TaskDefinitionError


class KernelChoice(msgspec.Struct, frozen=True):
    """A kernel's specification, as Jupyter keeps it."""

    name: str
    argv: tuple[str, ...]
    language: str
    env: dict[str, str]
    interrupt_mode: str
    resource_dir: str
    metadata: dict[str, Any]

    @property
    def is_python(self) -> bool:
        return self.language.lower() == "python"

    @property
    def is_ipykernel(self) -> bool:
        return any("ipykernel" in word for word in self.argv)

    @property
    def program(self) -> str | None:
        """The program it starts with, None when that is not there."""
        return sys.executable if is_own_python(self.argv[0]) else shutil.which(self.argv[0])


def is_own_python(word: str) -> bool:
    """Whether Jupyter takes the word for the interpreter of the process that starts the kernel."""
    return word in {"python", f"python{sys.version_info[0]}", f"python{sys.version_info[0]}.{sys.version_info[1]}"}


def choose_kernel(metadata: Mapping[str, Any], asked: str | None, *, what: str) -> KernelChoice:
    """The kernel named `asked`, else the one that the notebook's metadata names, else `python3`.

    Raises `TaskDefinitionError` when it is not installed here, or its program is gone.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel  # 0.1 s, for notebook jobs alone

    named = metadata.get("kernelspec", {}).get("name")
    name = asked or named or "python3"
    manager = KernelSpecManager()
    try:
        spec = manager.get_kernel_spec(name)
    except (NoSuchKernel, OSError, json.JSONDecodeError) as cause:
        known = sorted(manager.find_kernel_specs())
        near = difflib.get_close_matches(name, known, n=1)
        whose = "kernel= asks" if asked else f"{what} asks"
        instead = f"give kernel={(near or known)[0]!r}" if known else "install ipykernel"
        raise TaskDefinitionError(
            f"{whose} for the kernel {name!r}, which is not installed here (known: {', '.join(known) or 'none'}). "
            f"Install it, or {instead}.",
            kernel=name,
            known=known,
        ) from cause
    if not spec.argv:
        raise TaskDefinitionError(f"The kernel {name!r} of {what} names no program to start.", kernel=name)
    choice = KernelChoice(
        name=name,
        argv=tuple(spec.argv),
        language=spec.language or "",
        env=dict(spec.env),
        interrupt_mode=spec.interrupt_mode or "signal",
        resource_dir=spec.resource_dir,
        metadata=dict(spec.metadata),
    )
    if choice.program is None:
        raise TaskDefinitionError(
            f"The kernel {name!r} of {what} starts with {choice.argv[0]}, which is not there or may not be executed. "
            "Install that kernel again, or give another one with kernel=.",
            kernel=name,
        )
    if is_own_python(choice.argv[0]) and choice.is_ipykernel and importlib.util.find_spec("ipykernel") is None:
        raise TaskDefinitionError(
            f"The kernel {name!r} of {what} needs ipykernel, which {sys.executable} does not have. "
            "Install it: pip install ipykernel.",
            kernel=name,
        )
    return choice
