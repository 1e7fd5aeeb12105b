"""The one thread that writes, in group commits.

Whatever gathered while the last commit ran goes into the next; there is no timer. A group that fails stays as it is
and is tried again until it is on disk: nothing put behind it can overtake it, and its callbacks run once, after its
commit. A small batch that comes while nothing else is under way is committed where it is put: there is nothing to
gather meanwhile, and handing it to the thread and its callback back costs a fifth of a commit. `InlineWriter` has the
same face and always commits in the calling thread, for the virtual-time engine.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from kernelkit import memory
from kernelkit.errors import KernelKitError, StoreError, StoreFullError
from kernelkit.store.rows import Batch
from kernelkit.store.store import Store

_log = logging.getLogger(__name__)

GROUP_ROWS = 2_000  # event rows of one commit; more only makes the next reply wait longer
GROUP_BYTES = 16 * 1024 * 1024  # of large values
RETRY_S = 0.5
IDLE_CHECKPOINT_S = 5.0
HERE_ROWS = 4  # event rows of a batch that may be committed where it is put; under load they gather to more
HERE_BYTES = 64 * 1024  # of large values

Callback = Callable[[], None]
Post = Callable[[Callback], object]
OnProblem = Callable[[str], None]


@dataclass(slots=True)
class _Group:
    batch: Batch = field(default_factory=Batch)
    callbacks: list[Callback] = field(default_factory=list)
    puts: int = 0
    tried: bool = False


class Writer:
    """Commits batches in the order in which they were put, on a thread of its own.

    `post` carries a function to the owner's loop (`loop.call_soon_threadsafe`); it gets all callbacks of a commit at
    once, and `on_problem` whenever `problem` changes. Below `free_gate` bytes of free space nothing is tried.
    With `here`, `put` is only called on the owner's loop, and may commit a small batch and call back before it returns.
    """

    def __init__(
        self, store: Store, post: Post, free_gate: int, *, on_problem: OnProblem | None = None, here: bool = False
    ) -> None:
        self._store = store
        self._post = post
        self._free_gate = free_gate
        self._on_problem = on_problem
        self._here = here
        self._problem = ""
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Batch, Callback | None]] = deque()
        self._put = 0
        self._committed = 0
        self._called = 0  # of those put, how many have been committed and called back
        self._tending = False  # the thread has the database for a checkpoint
        self._due = False  # a checkpoint
        self._doubt = False  # the first that waits was tried already, and may be on disk
        self._quiet_since = time.monotonic()
        self._nudged = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="kernelkit-store-writer", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str:
        """Why nothing can be committed at present, in words without a full stop; empty when all is well."""
        return self._problem

    def put(self, batch: Batch, committed: Callback | None) -> None:
        """Have `batch` committed, then `committed` called through `post`. Do not change the batch afterwards."""
        with self._changed:
            if self._stopping:
                raise StoreError("The store is closing; nothing more can be written.")
            at_rest = self._here and self._called == self._put and not self._tending
        if at_rest and _is_small(batch) and self._commit_here(batch):
            if committed is not None:
                committed()
            return
        with self._changed:
            self._waiting.append((batch, committed))
            self._put += 1
            if len(self._waiting) == 1:
                self._changed.notify_all()

    def _commit_here(self, batch: Batch) -> bool:
        """False when it failed: then it is the thread's, which reports it and tries until it succeeds."""
        try:
            self._try(_Group(batch))
        except Exception:  # whatever it is, it will be met again there
            _log.info("a commit failed and is tried again", exc_info=True)
            self._doubt = True
            return False
        self._quiet_since = time.monotonic()
        is_first, is_due = self._store.transactions == 1, self._store.is_checkpoint_due
        if is_first or is_due:  # the thread sleeps, and has to look at the time, or at once
            with self._changed:
                self._due = is_due
                self._changed.notify_all()
        return True

    def nudge(self) -> None:
        """Try a failed commit again now."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything put so far is on disk; False when it is not within `timeout` seconds."""
        with self._changed:
            target = self._put
            return self._changed.wait_for(lambda: self._committed >= target, timeout)

    def stop(self, timeout: float = 10.0) -> bool:
        """Commit what is pending if that is possible, end the thread; True when nothing is left behind."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive() and self._committed == self._put

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            if not self._commit(group):
                return
            self._quiet_since = time.monotonic()
            with self._changed:
                self._committed += group.puts
                self._changed.notify_all()
            self._send(partial(self._call_back, group))
            self._due = self._due or self._store.is_checkpoint_due

    def _call_back(self, group: _Group) -> None:
        _call_all(group.callbacks)
        self._called += group.puts

    def _next_group(self) -> _Group | None:
        """The next group to commit; checkpoints when nothing comes for a while; None at the end."""
        while True:
            with self._changed:
                if not self._waiting and not self._stopping and not self._due:
                    self._changed.wait(self._until_checkpoint())
                if not self._due:
                    if self._waiting:
                        return self._take()
                    if self._stopping:
                        return None
                    if self._until_checkpoint() != 0:
                        continue
                is_quiet, self._due = not self._due, False
                self._tending = True
            try:
                self._checkpoint()
                if is_quiet:
                    self._rest()
            finally:
                self._tending = False
                self._quiet_since = time.monotonic()

    def _until_checkpoint(self) -> float | None:
        """Seconds until it has been quiet for long enough; None when there is nothing to fold in."""
        if not self._store.transactions:
            return None
        return max(0.0, self._quiet_since + IDLE_CHECKPOINT_S - time.monotonic())

    def _take(self) -> _Group:
        group = _Group(tried=self._doubt)
        self._doubt = False
        size = 0
        limit = 1 if group.tried else len(self._waiting)  # whether a group is on disk is seen by its last event
        while group.puts < limit:
            batch, callback = self._waiting[0]
            size += sum(len(row.text) for row in batch.values)
            if group.puts and (len(group.batch.events) + len(batch.events) > GROUP_ROWS or size > GROUP_BYTES):
                break
            self._waiting.popleft()
            group.batch.merge(batch)
            group.puts += 1
            if callback is not None:
                group.callbacks.append(callback)
        return group

    def _commit(self, group: _Group) -> bool:
        """Try until the group is on disk; False when the writer was stopped before that."""
        while True:
            try:
                self._try(group)
            except KernelKitError as cause:
                self._report(str(cause).rstrip("."))
            except Exception as cause:  # this loop must live on: what it holds exists nowhere else
                _log.exception("commit failed")
                self._report(f"The commit failed: {type(cause).__name__}: {cause}")
            else:
                self._report("")
                return True
            with self._changed:
                if self._stopping:
                    return False
                self._changed.wait_for(lambda: self._nudged or self._stopping, RETRY_S)
                self._nudged = False

    def _try(self, group: _Group) -> None:
        if group.batch.is_empty:
            return
        free = self._store.free_bytes()
        if free is not None and free < self._free_gate:
            raise StoreFullError(
                f"The disk of this project is full: {free / 1e6:,.0f} MB are free, {self._free_gate / 1e6:,.0f} MB are "
                "needed. Free some space."
            )
        if self._store.needs_reopen:
            self._store.reopen()
        if group.tried and self._store.holds(group.batch):
            return
        group.tried = True
        try:
            self._store.append(group.batch)
        except StoreFullError:
            raise
        except StoreError:
            if not self._store.needs_reopen:
                raise
            _log.warning("database was invalidated, opening it again", exc_info=True)
            self._store.reopen()
            if not self._store.holds(group.batch):
                self._store.append(group.batch)

    def _checkpoint(self) -> None:
        try:
            if not self._store.checkpoint():
                self._store.transactions = 1  # no room, or someone in the way: not before another idle spell
        except StoreError:
            _log.warning("checkpoint failed, opening the database again", exc_info=True)
            try:
                self._store.reopen()
            except KernelKitError as cause:
                self._report(str(cause))

    def _rest(self) -> None:
        try:
            self._store.rest()
        except StoreError:
            _log.warning("memory could not be given back", exc_info=True)
        memory.give_back()

    def _report(self, problem: str) -> None:
        before, self._problem = self._problem, problem
        if bool(before) == bool(problem):
            return  # a changed number of free megabytes is no news
        _log.warning("store problem: %s", problem or "gone, it commits again")
        if self._on_problem is not None:
            self._send(partial(self._on_problem, problem))

    def _send(self, work: Callback) -> None:
        try:
            self._post(work)
        except RuntimeError:  # the owner's loop is closed; there is nobody left to tell
            _log.info("callbacks dropped, their loop is closed")


class InlineWriter:
    """Commits each batch in the thread that puts it; errors go to the caller."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.problem = ""

    def put(self, batch: Batch, committed: Callback | None) -> None:
        self._store.append(batch)
        if committed is not None:
            committed()

    def nudge(self) -> None:
        """Nothing is ever pending here."""

    def flush(self, timeout: float) -> bool:
        """Always True: everything put is on disk."""
        del timeout
        return True

    def stop(self, timeout: float = 10.0) -> bool:
        """Always True: everything put is on disk."""
        del timeout
        return True


def _is_small(batch: Batch) -> bool:
    is_short = len(batch.events) <= HERE_ROWS and len(batch.lines) <= HERE_ROWS and not batch.history
    return is_short and sum([len(row.text) for row in batch.values]) <= HERE_BYTES


def _call_all(callbacks: list[Callback]) -> None:
    for callback in callbacks:
        try:
            callback()
        except Exception:  # one listener's mistake must not keep the others from hearing of their commit
            _log.exception("callback of a commit failed")
