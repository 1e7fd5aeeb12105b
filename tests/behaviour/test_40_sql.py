"""`kk.sql`: one SELECT over documented views, in which runs that go on are like those that are over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import get_type_hints

import pytest

import kernelkit as kk
from kernelkit.models.run import Run
from tests.behaviour.conftest import Stage


def test_40_1_live_runs_and_history_are_one_view(stage: Stage) -> None:
    @kk.task(id="seen-40", retries=2)
    async def seen(fails: bool = False) -> str:
        if fails:
            raise kk.AbortTaskRunError("as asked")
        return "x" * 2_000

    done, failed = seen.options(tags=["red"]).trigger(), seen.trigger(fails=True)
    stage.finish()
    waiting = seen.options(delay="2h", priority=3).trigger()

    table = kk.sql("select id, status, output, tags, attempt_number from runs where task_id = 'seen-40' order by id")

    assert table.columns == ("id", "status", "output", "tags", "attempt_number")
    assert [row[:2] for row in table] == [
        (done.id, "COMPLETED"),
        (failed.id, "FAILED"),
        (waiting.id, "DELAYED"),
    ]
    assert table[0][2:] == ('"' + "x" * 2_000 + '"', ["red"], 1)
    assert table[2][2:] == (None, [], 0)
    (counted,) = kk.sql("select count(*) from runs where task_id = 'seen-40'")
    assert counted == (3,)
    waiting.cancel()


def test_40_1_columns_are_the_fields_of_a_run(stage: Stage) -> None:
    @kk.task(id="columns-40")
    async def columned() -> None: ...

    columned.trigger()
    stage.finish()
    columns = {name: kind for name, kind, *_ in kk.sql("describe runs")}
    fields = {name.removesuffix("_json"): kind for name, kind in get_type_hints(Run).items()}

    assert columns.keys() - fields.keys() == {"duration"}
    expected = """id task_id status payload output error tags metadata attempts created_at queued_at started_at
        finished_at delay_until ttl queue concurrency_key priority machine version parent_id root_id depth batch_id
        schedule_id idempotency_key is_test is_replay queued_reason"""
    assert set(expected.split()) <= columns.keys()
    moments = {name for name, kind in fields.items() if "datetime" in str(kind) and name in columns}
    assert {columns[name] for name in moments} == {"TIMESTAMP"}


def test_40_1_attempts_logs_and_events(stage: Stage) -> None:
    @kk.task(id="tries-40", retry=kk.Retry(max_attempts=2, min_timeout=0.05, randomize=False))
    async def tries() -> None:
        kk.logger.info("hello")
        raise ValueError("no luck")

    run = tries.trigger()
    stage.finish()
    run.result(timeout=20)

    attempts = kk.sql(f"select number, status, error->>'name', started_at from attempts where run_id = '{run.id}'")
    assert [row[:3] for row in attempts] == [(1, "FAILED", "ValueError"), (2, "FAILED", "ValueError")]
    assert attempts[0][3] == run.refresh().attempts[0].started_at
    kinds = kk.sql(f"select kind from events where run_id = '{run.id}' order by seq")
    assert (kinds[0], kinds[-1]) == (("RunTriggered",), ("RunFinished",))
    logged = f"select attempt, text from logs where run_id = '{run.id}' and level = 'info' order by line"
    stage.until(lambda: kk.sql(logged).rows == ((1, "hello"), (2, "hello")))


def test_40_1_queues_say_what_is_in_them(stage: Stage) -> None:
    @kk.task(id="queued-40")
    async def queued() -> None: ...

    run = queued.options(queue=kk.Queue("q40", concurrency_limit=3), delay="1h").trigger()

    assert kk.sql("select concurrency_limit, executing, queued, delayed from queues where name = 'q40'").rows == (
        (3, 0, 0, 1),
    )
    run.cancel()


def test_40_1_schedules_say_when_they_fire(stage: Stage) -> None:
    @kk.task(id="scheduled-40", cron="0 0 1 1 *", timezone="Asia/Tokyo", overlap="skip")
    async def scheduled() -> None: ...

    scheduled.register()
    made = kk.schedules.create(task=scheduled, cron="@daily", external_id="u1", deduplication_key="k40").deactivate()

    columns = "id, cron, timezone, kind, active, external_id, overlap, next_run, last_run, last_status, fired"
    found = kk.sql(f"select {columns} from schedules where task_id = 'scheduled-40' order by kind")
    (declared,) = [one for one in kk.schedules.list(task=scheduled) if one.type == "DECLARATIVE"]
    assert found.rows == (
        (declared.id, "0 0 1 1 *", "Asia/Tokyo", "DECLARATIVE", True, None, "skip", declared.next_run, None, None, 0),
        (made.id, "@daily", "UTC", "IMPERATIVE", False, "u1", "queue", None, None, None, 0),
    )
    assert kk.sql("select created_at from schedules where active")[0] == (declared.created_at,)
    declared.delete()


def test_40_1_values_come_as_python_has_them(stage: Stage) -> None:
    table = kk.sql(
        "select 1::hugeint, 2::hugeint ** 100, 1.50::decimal(5, 2), interval 90 second, timestamp '2027-01-01 12:00',"
        " date '2027-01-01', [1, 2], {'a': 1}, null, true, 'NaN'::double, now() > timestamp '2020-01-01', now()"
    )

    assert table[0][:10] == (
        1,
        2**100,
        Decimal("1.50"),
        timedelta(seconds=90),
        datetime(2027, 1, 1, 12, tzinfo=UTC),
        datetime(2027, 1, 1).date(),
        [1, 2],
        {"a": 1},
        None,
        True,
    )
    assert table[0][10] != table[0][10]
    assert table[0][11] is True
    assert table[0][12].tzinfo is UTC


def test_40_1_an_answer_has_at_most_100_000_rows(stage: Stage) -> None:
    table = kk.sql("select range as n from range(100001)")

    assert (len(table), table.has_more, table[-1]) == (100_000, True, (99_999,))
    assert "the first 100,000 rows of more" in repr(table)
    assert not kk.sql("select * from range(10)").has_more


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select * from rnus", "no view 'rnus'. Did you mean 'runs'"),
        ("select staus from runs", 'Referenced column "staus" not found.* "status"'),
        ("selec 1", 'syntax error at or near "selec"'),
        ("select 1; select 2", "there are 2 statements"),
        ("-- nothing", "there are 0 statements"),
        ("insert into runs values (1)", "only reads: it takes a SELECT, and this is INSERT"),
        ("delete from history", "this is DELETE"),
        ("drop view runs", "this is DROP"),
        ("attach 'other.duckdb'", "this is ATTACH"),
        ("copy (select 1) to '/tmp/stolen.csv'", "this is COPY"),
        ("set memory_limit = '1TB'", "this is SET"),
        ("pragma database_size", "only reads|no view|not available"),
        ("call pragma_version()", "this is CALL"),
        ("explain analyze select 1", "this is EXPLAIN"),
        ("with x as (delete from runs returning 1) from x", "may not change anything"),
        ("pivot runs on status using count(*)", r"SELECT \* FROM \(PIVOT"),
        ("select * from history", "no view 'history'"),
        ("select (select count(*) from vals)", "no view 'vals'"),
        ("with runs as (select 1) select * from runs, log", "no view 'log'"),
        ("select * from main.runs", "no view 'main.runs'. Did you mean 'runs'"),
        ("from '/etc/passwd'", "no view '/etc/passwd'"),
        ("select * from read_csv('/etc/passwd')", "read_csv is not available"),
        ("select * from read_text('/etc/passwd')", "read_text is not available"),
        ("select * from glob('/etc/*')", "glob is not available"),
        ("from read_parquet('/etc/passwd')", "reads no files but those in the archive"),
        ("from query('from vals')", "query is not available"),
        ("from force_checkpoint()", "force_checkpoint is not available"),
        ("from duckdb_settings()", "duckdb_settings is not available"),
        ("show tables", "The views are: runs, attempts"),
        ("select 'a'::int", "Could not convert string 'a'"),
        ("select nofunction(1)", "Scalar Function with name nofunction does not exist"),
    ],
)
def test_40_1_what_is_no_single_select_over_the_views_is_refused(stage: Stage, query: str, words: str) -> None:
    with pytest.raises(kk.SqlError, match=words):
        kk.sql(query)


def test_40_1_a_query_that_takes_too_long_is_stopped_and_the_next_one_answered(stage: Stage) -> None:
    with pytest.raises(kk.SqlError, match=r"longer than 0\.2 s and was stopped"):
        kk.sql("select count(*) from range(10000000) a, range(10000000) b", timeout=0.2)

    assert kk.sql("select 1").rows == ((1,),)


def test_40_1_what_is_no_query_is_refused_at_the_call(stage: Stage) -> None:
    for query in ("", "  ", None):
        with pytest.raises(kk.InvalidOptionError, match="takes a SELECT as text"):
            kk.sql(query)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(kk.InvalidDurationError):
        kk.sql("select 1", timeout="soon")
    with pytest.raises(kk.InvalidOptionError, match="no time"):
        kk.sql("select 1", timeout=0)


def test_40_1_ctes_describe_and_summaries_are_selects(stage: Stage) -> None:
    assert kk.sql("with n as (select range as i from range(4)) select sum(i) from n").rows == ((6,),)
    assert ("id", "VARCHAR") in [row[:2] for row in kk.sql("describe runs")]
    assert len(kk.sql("summarize select attempt_number, depth from runs")) == 2
    assert kk.sql("select 1 as a, 2 as a -- twice\n;").rows == ((1, 2),)
