"""`kk.sql(…)`: people's questions to the project's history, in DuckDB's SQL."""

from __future__ import annotations

from kernelkit.authoring import caller as callers
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.table import Table, from_reply
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidOptionError
from kernelkit.rules.limits import check_text
from kernelkit.wire.messages import Sql, TableReply

TIMEOUT_S = 30.0


def sql(query: str, *, timeout: Duration = TIMEOUT_S, caller: Caller | None = None) -> Table:
    """The answer of one SELECT over the views `runs`, `attempts`, `events`, `logs` and `queues`, at most 100,000 rows.

    Live runs are in them as they are now; columns are named as the fields of `kk.Run`, moments are in UTC, `duration`
    is in seconds. Raises `SqlError` for what is wrong with the query, or when it takes longer than `timeout`.

        slow = kk.sql("select task_id, quantile_cont(duration, 0.95) as p95 from runs group by all order by p95 desc")
        slow.df()
    """
    if not isinstance(query, str) or not query.strip():
        raise InvalidOptionError(
            "kk.sql takes a SELECT as text, such as kk.sql('select * from runs limit 5').", field="query"
        )
    check_text(query, "The query")
    seconds = to_seconds(timeout, field="timeout")
    if not seconds:
        raise InvalidOptionError("timeout=0 leaves no time for an answer.", field="timeout")
    reply = (caller or callers.current()).call(Sql(query, timeout_s=seconds))
    assert isinstance(reply, TableReply)
    return from_reply(reply)
