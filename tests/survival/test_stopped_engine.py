"""An engine stopped and started by a person: what was queued then runs as if nothing had happened."""

from __future__ import annotations

import os
import stat

from tests.survival.project import Project, until

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


def test_an_engine_clears_away_old_code_that_nobody_needs(project: Project) -> None:
    home = project.home.create()
    old, fresh = home.bundles / "0123456789abcdef0123456789abcdef", home.bundles / "fedcba9876543210fedcba9876543210"
    for path in (old, fresh):
        path.write_bytes(b"code")
    os.utime(old, (0, 0))

    assert project.run("say(kk.engine.start().pid > 0)") == [[True]]

    until(lambda: not old.exists(), "the old bundle is removed")
    assert fresh.exists()


UMASK = """
@kk.task
def umask() -> int:
    found = os.umask(0o22)
    return found

os.umask(0o027)
say(umask.trigger().result(timeout=30).output)
"""


def test_the_database_is_closed_to_others_and_bodies_keep_the_umask_of_their_person(project: Project) -> None:
    assert project.run(UMASK) == [[0o027]]

    files = [path for path in project.home.path.iterdir() if path.name.startswith("engine.duckdb")]
    assert len(files) >= 2
    assert [oct(stat.S_IMODE(path.stat().st_mode)) for path in files] == ["0o600"] * len(files)
