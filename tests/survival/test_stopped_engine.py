"""An engine stopped and started by a person: what was queued then runs as if nothing had happened."""

from __future__ import annotations

from tests.survival.project import Project

STOPPED = """
@kk.task(retries=1)
def napping(n: int) -> int:
    time.sleep(0.3)
    return n

if __name__ == "__main__":
    runs = [napping.trigger(n=n) for n in range(12)]
    runs[0].result(timeout=60)
    kk.engine.stop()
    kk.engine.start()
    for run in runs:
        run.result(timeout=60)
        ended = run.refresh()
        say(ended.status.value, ended.output, len(ended.attempts))
"""


def test_runs_that_were_queued_at_a_stop_are_not_given_to_workers_that_ended_with_it(project: Project) -> None:
    assert project.run(STOPPED) == [["COMPLETED", n, 1] for n in range(12)]
