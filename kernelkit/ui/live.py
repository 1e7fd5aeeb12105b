"""Keeps the live cards of this process: one thread, one watch per run, however many cards show it.

A card is given a place to publish to and, in a kernel, a widget. Changes arrive on a thread of the caller's, are put
aside, and painted here: at once when the status changes, else at most five times a second. When its run has ended a
card publishes the static face in place of the widget and is forgotten. The card of a run that had ended when it was
shown is painted once, and kept only to be taken away in time. What a newcomer would get wrong: nobody tells
the kernel that an output was cleared. So a cell that is executed again retires what its last execution showed, and of
the rest only the newest 50 stay widgets.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, tzinfo

from kernelkit.authoring.artifacts import artifacts_of
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.track import JOB_KEY
from kernelkit.errors import KernelKitError
from kernelkit.models.run import LogLine, Run, RunStatus
from kernelkit.models.stream import StreamTail
from kernelkit.ui import words
from kernelkit.ui.faces import static_bundle
from kernelkit.ui.feed import Feed, LiveCard, last_streams
from kernelkit.ui.silence import has_engine
from kernelkit.ui.token_card import asked_of
from kernelkit.ui.view import RunCard, run_card
from kernelkit.wire.messages import RunChanged

PAINT_EVERY_S = 0.2
BEAT_EVERY_S = 1.0
MAX_WIDGETS = 50

logger = logging.getLogger(__name__)


class LiveCards:
    """All live cards of a process. `now` and `zone` are handed in by tests."""

    def __init__(
        self, *, now: Callable[[], datetime] | None = None, zone: Callable[[], tzinfo] = words.local_zone
    ) -> None:
        self._now = now or (lambda: datetime.now(UTC))
        self._zone = zone
        self._wake = threading.Condition()
        self._feeds: dict[tuple[int, str], Feed] = {}
        self._past: list[Feed] = []  # shown after their end: nothing comes any more
        self._dropped: list[tuple[Feed, LiveCard]] = []
        self._finishing = 0  # feeds that are no longer among them, but whose cards have not all been replaced
        self._thread: threading.Thread | None = None

    def view(
        self,
        run: Run,
        logs: tuple[LogLine, ...] = (),
        caller: Caller | None = None,
        streams: tuple[StreamTail, ...] = (),
    ) -> RunCard:
        """What the card of `run` says now; with the caller it came by, also the files that it has left so far."""
        has_files = run.is_completed or JOB_KEY in run.metadata_json  # a job's notebook is there while it runs
        files = artifacts_of(caller.home, run.id) if caller is not None and has_files else ()
        return run_card(run, logs, files, streams=streams, now=self._now(), zone=self._zone())

    def add(self, card: LiveCard, caller: Caller, streams: tuple[StreamTail, ...] = ()) -> None:
        """Follow `card.run` until it has ended; one that has, with what its `streams` hold, stays as it is."""
        with self._wake:
            if card.cell:
                self._retire(card)
            if card.run.is_completed:
                self._past.append(Feed(caller, card.run, streams=streams, cards=[card]))
            else:
                self._feeds.setdefault((id(caller), card.run.id), Feed(caller, card.run)).cards.append(card)
            widgets = [(f, c) for f in self._all() for c in f.cards if c.widget is not None]
            for old_feed, old in widgets[: max(0, len(widgets) - MAX_WIDGETS)]:
                self._dropped.append((old_feed, old))
            self._begin()

    def _all(self) -> list[Feed]:
        return [*self._past, *self._feeds.values()]

    def _begin(self) -> None:
        """Have the thread look, if there is anything to look at."""
        if self._thread is None and (self._feeds or self._dropped):
            self._thread = threading.Thread(target=self._loop, name="kernelkit-cards", daemon=True)
            self._thread.start()
        self._wake.notify_all()

    def drop(self, card: LiveCard) -> None:
        """Forget a card whose place another one takes."""
        with self._wake:
            for feed in self._all():
                if card in feed.cards:
                    feed.cards.remove(card)
                    self._dropped.append((feed, card))
            self._begin()

    def settle(self, patience_s: float) -> None:
        """Ask how the shown runs stand, and wait until those that have ended have their static face."""
        with self._wake:
            feeds = list(self._feeds.values())
        for feed in feeds:
            if has_engine(feed.caller):
                run = feed.asked()
                with self._wake:
                    feed.ended = feed.ended or (run if run.is_completed else None)
                    self._wake.notify_all()
        with self._wake:
            self._wake.wait_for(
                lambda: not self._finishing and not any(feed.ended for feed in self._feeds.values()), patience_s
            )

    @property
    def count(self) -> int:
        """How many cards are being followed."""
        with self._wake:
            return sum(len(feed.cards) for feed in self._feeds.values())

    def _retire(self, new: LiveCard) -> None:
        """Forget what an earlier execution of the same cell showed: its output has been cleared."""
        for feed in self._all():
            for card in [card for card in feed.cards if card.cell == new.cell and card.execution != new.execution]:
                feed.cards.remove(card)
                if card.widget is not None:
                    self._dropped.append((feed, card))

    # ---- the thread ------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(self._has_work, timeout=self._pause())
                if not self._feeds and not self._dropped:
                    self._thread = None
                    return
                feeds = list(self._feeds.items())
                dropped, self._dropped = self._dropped, []
                taken = [card for _, card in dropped]
                self._past = [feed for feed in self._past if any(card not in taken for card in feed.cards)]
            for feed, card in dropped:
                self._quieten(feed, card)
            for key, feed in feeds:
                self._serve(key, feed)

    def _has_work(self) -> bool:
        now = time.monotonic()
        if self._dropped or not self._feeds:
            return True
        return any(
            feed.ended or not feed.cards or feed.should_open()
            or any(card.is_due and now - card.painted_at >= PAINT_EVERY_S for card in feed.cards)
            or any(card.is_due and card.painted != feed.run.status for card in feed.cards)
            for feed in self._feeds.values()
        )  # fmt: skip

    def _pause(self) -> float:
        due = any(card.is_due for feed in self._feeds.values() for card in feed.cards)
        return PAINT_EVERY_S if due else BEAT_EVERY_S / 2

    def _serve(self, key: tuple[int, str], feed: Feed) -> None:
        with self._wake:
            ended, cards = feed.ended, list(feed.cards)
            if ended is not None or not cards:
                feed.is_over = True
                self._feeds.pop(key, None)
                self._finishing += 1
        if feed.is_over:
            feed.stop_watching()
            try:
                if ended is not None:
                    self._finish(feed, ended, cards)
            finally:
                with self._wake:
                    self._finishing -= 1
                    self._wake.notify_all()
            return
        if feed.should_open():
            feed.is_opening = True
            threading.Thread(target=self._open, args=(feed,), name="kernelkit-watch", daemon=True).start()
        silent_since = feed.silence.since(is_connected=has_engine(feed.caller))
        for card in cards:
            self._paint(feed, card, silent_since)

    def _open(self, feed: Feed) -> None:
        """Start watching, on a thread of its own: without an engine this takes as long as the client has patience."""
        try:
            if feed.unwatch is None:
                feed.unwatch = feed.caller.watch(feed.run.id, lambda change: self._changed(feed, change))
            feed.end = feed.caller.outcome(feed.run.id)
            feed.is_open = True
        except KernelKitError as error:
            logger.debug("cannot watch a run yet", extra={"run_id": feed.run.id, "reason": str(error)})
            feed.put_off()
        with self._wake:
            feed.is_opening = False
            is_over, end = feed.is_over, feed.end
        if is_over:
            feed.stop_watching()
        elif feed.is_open and end is not None:
            end.add_done_callback(lambda end: self._ended(feed, end))

    def _changed(self, feed: Feed, change: RunChanged) -> None:
        """On a thread of the caller's: put the news aside and return."""
        with self._wake:
            feed.run, feed.logs, feed.token = change.run, change.logs or feed.logs, change.token
            feed.streams = change.streams or feed.streams
            if change.run.is_completed:
                feed.ended = change.run
            for card in feed.cards:
                card.is_due = True
            self._wake.notify_all()

    def _ended(self, feed: Feed, end: Future[Run]) -> None:
        if end.cancelled():
            return
        with self._wake:
            if end.exception() is None:
                feed.ended = end.result()
            else:  # no engine for so long that the client gave up: ask again in a while
                feed.is_open = False
                feed.put_off()
            self._wake.notify_all()

    def _paint(self, feed: Feed, card: LiveCard, silent_since: float | None) -> None:
        now = time.monotonic()
        if card.widget is None:
            card.is_due = False
            return
        with self._wake:
            run, logs, streams, token = feed.run, feed.logs, feed.streams, feed.token
            waited = now - card.painted_at
            is_new = card.is_due and (waited >= PAINT_EVERY_S or card.painted != run.status)
            if is_new:
                card.is_due, card.painted, card.painted_at = False, run.status.value, now
        if is_new:
            asked = None if token is None or run.status is not RunStatus.WAITING else asked_of(token)
            card.widget.paint(self.view(run, logs, feed.caller, streams), asked)
        elif waited >= BEAT_EVERY_S:
            card.painted_at = now
            card.widget.heartbeat(silent_since=silent_since)

    def _finish(self, feed: Feed, run: Run, cards: list[LiveCard]) -> None:
        """Put the static face where each card stood."""
        streams = last_streams(feed.caller, run.id, feed.streams)
        bundle = static_bundle(self.view(feed.whole(run), feed.last_logs(run), feed.caller, streams))
        for card in cards:
            card.publish(bundle)
            if card.widget is not None:
                card.widget.close()

    def _quieten(self, feed: Feed, card: LiveCard) -> None:
        """Close a card's widget. If the card is still shown it says how the run stood, and at the end how it ended."""
        widget, card.widget = card.widget, None
        if widget is None:
            return
        with self._wake:
            is_shown = card in feed.cards
        if is_shown:
            card.publish(static_bundle(self.view(feed.run, feed.logs, feed.caller, feed.streams)))
        widget.close()
