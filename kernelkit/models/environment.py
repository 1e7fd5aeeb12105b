"""The surroundings a task was defined in, which its workers are given again."""

from __future__ import annotations

import hashlib

import msgspec


class Environment(msgspec.Struct, frozen=True):
    """Interpreter, working directory, import path and variables of a defining process."""

    python: str
    cwd: str
    path: tuple[str, ...]
    variables: dict[str, str]

    @property
    def id(self) -> str:
        """16 hex digits of the whole content: equal surroundings share a keeper."""
        text = msgspec.json.encode(msgspec.structs.replace(self, variables=dict(sorted(self.variables.items()))))
        return hashlib.sha256(text).hexdigest()[:16]
