from __future__ import annotations

import pytest

from tests.simulation.batch_mutants import BATCH_MUTANTS
from tests.simulation.bulk_mutants import BULK_MUTANTS
from tests.simulation.histories import first_broken_law
from tests.simulation.loss_mutants import LOSS_MUTANTS
from tests.simulation.machine_mutants import MACHINE_MUTANTS
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.option_mutants import OPTION_MUTANTS
from tests.simulation.pending_mutants import PENDING_MUTANTS
from tests.simulation.queue_mutants import QUEUE_MUTANTS
from tests.simulation.sameness_mutants import SAMENESS_MUTANTS
from tests.simulation.schedule_mutants import SCHEDULE_MUTANTS
from tests.simulation.stream_mutants import STREAM_MUTANTS
from tests.simulation.wait_mutants import WAIT_MUTANTS

pytestmark = pytest.mark.timeout(600)  # histories take long where other programs have the CPUs

SEEDS = range(160)  # in which the engine as it is keeps every law: they are the first of `test_histories.py`
ALL = (
    *MUTANTS,
    *OPTION_MUTANTS,
    *MACHINE_MUTANTS,
    *BATCH_MUTANTS,
    *PENDING_MUTANTS,
    *BULK_MUTANTS,
    *SAMENESS_MUTANTS,
    *SCHEDULE_MUTANTS,
    *WAIT_MUTANTS,
    *QUEUE_MUTANTS,
    *LOSS_MUTANTS,
    *STREAM_MUTANTS,
)


@pytest.mark.parametrize("mutant", ALL, ids=[mutant.name for mutant in ALL])
def test_a_mistaken_engine_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.make(monkeypatch)

    found = first_broken_law(SEEDS)

    assert found is not None, f"{mutant.name} keeps every law: {mutant.make.__doc__}"
    assert found[1] in mutant.laws
