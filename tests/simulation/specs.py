"""Random task definitions: few ids, so that redefinitions, clashes of owners and shared queues are common."""

from __future__ import annotations

from random import Random

from kernelkit.models.queue import RateLimit
from kernelkit.models.schedule import Timing
from kernelkit.models.task import Owner, RetryPolicy, TaskSpec

TASKS = ("resize", "mail", "sum", "train")
OWNERS = (Owner("notebook", "a.ipynb"), Owner("notebook", "b.ipynb"), Owner("module", "jobs.py"))
RATES = (RateLimit(1, "s"), RateLimit(3, "s"), RateLimit(1, "m"), RateLimit(7, "m"), RateLimit(40, "h"))
ENVIRONMENTS = ("env1", "env1", "env1", "env2")


def random_spec(random: Random, task_id: str | None = None) -> TaskSpec:
    """A definition of one of four tasks."""
    name = task_id or random.choice(TASKS)
    code, options, captures = random.randrange(3), random.randrange(3), random.randrange(4)
    own = random.random() < 0.6
    machine = random.choice(("", "", "", "", "", "micro", "small-2x", "large-1x"))
    rate = random_rate(random) if random.random() < 0.2 else None
    return TaskSpec(
        id=name,
        function=name if random.random() < 0.9 else f"{name}_too",
        owner=OWNERS[0] if random.random() < 0.6 else random.choice(OWNERS),
        env_id=random.choice(ENVIRONMENTS),
        bundle=f"{name}-{code}-{captures}",
        fingerprint=f"{name}-{code}-{options}",
        isolation="process" if machine else random.choice(("shared", "process")),
        machine=machine,
        queue="" if own else random.choice(("images", "letters")),
        concurrency_limit=random.choice((None, 1, 2, 3)),
        rate_limit=rate,
        retry=RetryPolicy(
            max_attempts=5 if rate else random.choice((1, 2, 3, 3, 5)),  # so that retries meet a limited rate
            min_timeout=random.choice((0.5, 1.0, 3.0) if rate else (0.5, 1.0, 3.0, 6.0, 30.0)),
            max_timeout=60.0,
            randomize=random.random() < 0.5,
            on_out_of_memory=random.choice(("", "medium-1x", "large-1x")),
        ),
        ttl=random.choice((0.0, 0.0, 0.0, 20.0)),
        max_duration=random.choice((0.0, 0.0, 0.0, 10.0)),
        timing=random.choice((None, None, None, Timing("* * * * *"), Timing("0 * * * *", catch_up="skip"))),
        tags=("own",) if random.random() < 0.3 else (),
    )


def random_rate(random: Random) -> RateLimit:
    return random.choice(RATES)


def recaptured(random: Random, spec: TaskSpec) -> TaskSpec:
    """The same code and options with other captured globals."""
    bundle = f"{spec.bundle.rsplit('-', 1)[0]}-{random.randrange(4)}"
    return TaskSpec(**{**{name: getattr(spec, name) for name in spec.__struct_fields__}, "bundle": bundle})
