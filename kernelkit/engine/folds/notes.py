"""The part of `apply.py` that keeps what a run's code leaves: answered calls, steps, streams, tags, metadata."""

from __future__ import annotations

from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.sameness import remember
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.sameness import Answer
from kernelkit.models.stream import StreamLength

_KEPT_OPS = 2_000


def op_done(state: State, event: ev.OpDone) -> LiveRun:
    run = state.runs[event.run_id]
    run.ops = run.ops or {}
    run.ops[event.op] = event.result
    if len(run.ops) > _KEPT_OPS:
        # An hour of progress is tens of thousands of these, and only those without an answer may come again.
        newest = set(list(run.ops)[-_KEPT_OPS // 2 :])
        run.ops = {op: result for op, result in run.ops.items() if op in newest or not op.startswith("metadata:")}
    return run


def step_kept(state: State, event: ev.StepKept) -> LiveRun:
    run = state.runs[event.run_id]
    run.steps = run.steps or {}
    run.steps[event.op] = event.value
    return run


def stream_appended(state: State, event: ev.StreamAppended) -> LiveRun:
    run = state.runs[event.run_id]
    run.streams = run.streams or {}
    length = run.streams.setdefault(event.stream, StreamLength())
    length.count += event.count
    length.size += event.size
    if event.asked:
        remember(state, event.asked, Answer(""))
    if event.writer:
        writer = state.runs[event.writer]
        writer.sent = writer.sent or {}
        writer.sent[event.op] = event.upto
    if event.count:
        state.waiting.appended(run.id, event.stream, state)
    return run


def tags_added(state: State, event: ev.TagsAdded) -> LiveRun:
    run = state.runs[event.run_id]
    run.tags = (*run.tags, *(tag for tag in event.tags if tag not in run.tags))
    return run


def metadata_changed(state: State, event: ev.MetadataChanged) -> LiveRun:
    run = state.runs[event.run_id]
    if run.seed is None:
        run.seed = run.metadata
    run.metadata = event.metadata
    return run
