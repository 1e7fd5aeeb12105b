"""What a task is to the engine: options and where its code lies, never the code itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from kernelkit.models.queue import TASK_PREFIX, RateLimit
from kernelkit.models.schedule import Timing

Isolation = Literal["shared", "process"]
LogLevel = Literal["none", "error", "warn", "info", "debug"]


class RetryPolicy(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How often and when to try again; times in seconds (spec: 3 attempts, factor 2, 1 s to 60 s, jitter on)."""

    max_attempts: int = 3
    factor: float = 2.0
    min_timeout: float = 1.0
    max_timeout: float = 60.0
    randomize: bool = True
    on_out_of_memory: str = ""  # the machine preset to try again on; "" = such a failure is not tried again


ONE_ATTEMPT = RetryPolicy(max_attempts=1)
MAX_ATTEMPTS = 250


class Owner(msgspec.Struct, frozen=True):
    """Who defines a task id: a notebook's session name, a module file, or else a kernel."""

    kind: Literal["notebook", "module", "kernel"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class TaskSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task as its author defined it. Two specs with equal `fingerprint` are the same version of the task."""

    id: str
    function: str  # the function's qualified name, to tell a redefinition from a clash
    owner: Owner
    env_id: str  # interpreter, working directory, sys.path and variables: `wire/discovery.py` keeps them in the home
    bundle: str  # hash of code and captured globals: the file `bundles/<hash>` in the home
    fingerprint: str  # hash of code and options, without captured globals
    isolation: Isolation = "shared"
    queue: str = ""  # "" = the task's own queue, `task/<id>`
    concurrency_limit: int | None = None  # of the queue named above
    rate_limit: RateLimit | None = None  # the same
    retry: RetryPolicy = RetryPolicy()
    tags: tuple[str, ...] = ()
    description: str = ""
    json_schema: str = ""  # JSON Schema of the payload, as text
    where: str = ""  # "cell [8] of thumbs.ipynb" or "jobs.py line 12", for screens
    file_path: str = ""  # of the module or notebook that defines it
    explicit_id: bool = False
    ttl: float = 0.0  # seconds a run may wait for its first start; 0 = for ever
    max_duration: float = 0.0  # seconds an attempt may take; 0 = any
    machine: str = ""  # preset of its runs; "" = no cap
    log_level: LogLevel = "info"  # calls of kk.logger below it are left out
    timing: Timing | None = None  # `cron=` of the definition: the task's own schedule
    takes_signal: bool = False  # the body asks for the cancel signal, and gets 30 s to heed it

    @property
    def queue_name(self) -> str:
        return self.queue or TASK_PREFIX + self.id


class TaskVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of a task: `number` is `YYYYMMDD.N`, N counted per task and day."""

    number: str
    spec: TaskSpec
    defined_at: int
