"""What came of waits, as an attempt is given it: values and the runs that were waited for, wherever they lie.

A checkpoint holds no outputs, only whose they are; so a thousand children cost the parent's state a thousand ids. They
are read from memory where they have just ended, else from the store, off the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kernelkit.models.run import Run
from kernelkit.models.value import Value
from kernelkit.models.wait import Done
from kernelkit.wire import messages as m

if TYPE_CHECKING:
    from kernelkit.engine.core import Core
    from kernelkit.engine.liverun import LiveRun


def gather(core: Core, run_id: str, done: Mapping[str, Done], then: Callable[[tuple[m.WaitResult, ...]], None]) -> None:
    """Call `then` with the results of these waits of the run, in order; at once when everything is at hand."""
    received = {
        op: (each.wait.stream, each.wait.index) for op, each in done.items() if each.wait.stream and not each.timed_out
    }
    found: dict[str, Run] = {}
    elsewhere: list[str] = []
    refs: set[str] = set()
    output_of: dict[str, str] = {}  # run id → where its output lies
    for each in done.values():
        if each.value is not None and each.value.ref is not None:
            refs.add(each.value.ref)
        for run_id in each.wait.runs:
            view = core.view(run_id, count_ahead=False)
            if view is None:
                elsewhere.append(run_id)
                continue
            found[run_id] = view
            if view.output_json is None and view.output_size:
                ref = core.output_ref(run_id)
                if ref is None:
                    elsewhere.append(run_id)
                else:
                    output_of[run_id] = ref
                    refs.add(ref)

    def built(read: tuple[dict[str, str], list[Run]]) -> None:
        texts, runs = read
        found.update((run.id, run) for run in runs)
        for run_id, ref in output_of.items():
            found[run_id] = replace(found[run_id], output_json=texts.get(ref))
        then(tuple(_result(op, each, found, texts) for op, each in done.items()))

    at_hand, missing = core.texts_at_hand(refs)
    if not missing and not elsewhere and not received:
        built((at_hand, []))
        return

    def read() -> tuple[dict[str, str], list[Run]]:
        texts = at_hand | (core.store.values(missing) if missing else {})
        for op, (stream, index) in received.items():
            texts[_received(op)] = core.store.chunk(run_id, stream, index)
        return texts, [run for run_id in elsewhere if (run := core.store.run(run_id)) is not None]

    core.flush_history(lambda: core.read(read, built))


def _received(op: str) -> str:
    """Under what the value that an input stream gave is kept among texts of the store."""
    return f"{op}:received"


def _result(op: str, done: Done, found: Mapping[str, Run], texts: Mapping[str, str]) -> m.WaitResult:
    value, wait = done.value, done.wait
    if value is not None and value.ref is not None:
        value = Value(text=texts.get(value.ref, "null"), size=value.size)
    elif (text := texts.get(_received(op))) is not None:
        value = Value(text=text, size=len(text.encode()))
    return m.WaitResult(
        op,
        wait.type,
        value,
        done.timed_out,
        wait.token,
        tuple([_lean(found[run_id]) for run_id in wait.runs if run_id in found]),
        tuple([run_id for run_id in wait.runs if run_id not in found]),
    )


def _lean(run: Run) -> Run:
    """A child as its parent is told of it, which knows the payload."""
    return run if run.payload_json is None else replace(run, payload_json=None)


def replay_of(
    core: Core, run: LiveRun, resumes: bool, then: Callable[[dict[str, str], m.Resumption | None], None]
) -> None:
    """Call `then` with the results of the run's steps and, when its attempt goes on, with its checkpoints."""
    refs = {value.ref for value in run.steps.values() if value.ref is not None}
    steps = dict(run.steps)

    def with_texts(texts: Mapping[str, str]) -> None:
        told = {op: texts[v.ref] if v.ref is not None else v.text or "null" for op, v in steps.items()}
        if not resumes:
            then(told, None)
            return
        open_waits, ops, started_at = tuple(run.waits), dict(run.ops), run.attempt_started_at
        compute, calls, metadata, sent = run.computed, run.calls, run.metadata_before, dict(run.sent)

        def gathered(results: tuple[m.WaitResult, ...]) -> None:
            then(told, m.Resumption(results, open_waits, ops, sent, started_at, compute, calls, metadata))

        gather(core, run.id, dict(run.done), gathered)

    at_hand, missing = core.texts_at_hand(refs)
    if not missing:
        with_texts(at_hand)
    else:
        core.read(lambda: at_hand | core.store.values(missing), with_texts)
