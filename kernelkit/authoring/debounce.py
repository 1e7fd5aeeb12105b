"""`kk.Debounce`: rapid triggers become one run."""

from __future__ import annotations

from typing import Any, Literal, Never

from kernelkit.authoring.options import refuse_unknown
from kernelkit.durations import Duration, to_seconds, type_of_duration
from kernelkit.errors import InvalidDurationError, InvalidOptionError
from kernelkit.models.sameness import DebounceUse
from kernelkit.rules.dedupe import MAX_DEBOUNCE_KEY_LENGTH, MIN_DEBOUNCE_S
from kernelkit.rules.limits import check_text


class Debounce:
    """Triggers of one task with the same `key` become one run, which starts `delay` after the last of them.

    Until it starts, each further trigger pushes it back, never forward, and returns its handle. With `mode="leading"`
    it has the data of the first trigger; with `"trailing"` that of the last: payload and code, and metadata, tags,
    `max_attempts`, `max_duration` and `machine` where they are given. `max_delay`, counted from the run's creation,
    ends the pushing: a trigger that would push beyond it starts another run, and the first keeps its moment.

    >>> Debounce("user-123", "5s", mode="trailing", max_delay="1m")
    Debounce('user-123', delay=5.0, mode='trailing', max_delay=60.0)

    Raises `InvalidOptionError` and `InvalidDurationError`.
    """

    __slots__ = ("use",)

    def __init__(
        self,
        key: str,
        delay: Duration,
        *,
        mode: Literal["leading", "trailing"] = "leading",
        max_delay: Duration | None = None,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, ("key", "delay", "mode", "max_delay"), "kk.Debounce")
        if not isinstance(key, str) or not 0 < len(key) <= MAX_DEBOUNCE_KEY_LENGTH:
            raise InvalidOptionError(
                f"The debounce key {str(key)[:40]!r} is not a text of 1 to {MAX_DEBOUNCE_KEY_LENGTH} characters.",
                field="debounce",
            )
        check_text(key, "A debounce key")
        if mode not in ("leading", "trailing"):
            raise InvalidOptionError(f"mode={mode!r} of a debounce is neither 'leading' nor 'trailing'.", field="mode")
        delay_s = _seconds(delay, "delay")
        if delay_s < MIN_DEBOUNCE_S:
            raise InvalidDurationError(
                f"delay={delay!r} of a debounce is shorter than {MIN_DEBOUNCE_S:g} s.", field="delay"
            )
        max_delay_s = None if max_delay is None else _seconds(max_delay, "max_delay")
        if max_delay_s is not None and max_delay_s <= delay_s:
            raise InvalidDurationError(
                f"max_delay={max_delay!r} of a debounce is not longer than its delay={delay!r}, so nothing could ever "
                "be pushed.",
                field="max_delay",
            )
        self.use = DebounceUse(key, delay_s, mode == "trailing", max_delay_s)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Debounce) and other.use == self.use

    def __hash__(self) -> int:
        return hash(self.use)

    def __repr__(self) -> str:
        mode = "trailing" if self.use.trailing else "leading"
        longest = "" if self.use.max_delay_s is None else f", max_delay={self.use.max_delay_s}"
        return f"Debounce({self.use.key!r}, delay={self.use.delay_s}, mode={mode!r}{longest})"


def debounce_option(given: Any) -> DebounceUse | None:
    """The option `debounce` of a trigger; raises `InvalidOptionError`."""
    if given is None:
        return None
    if isinstance(given, Debounce):
        return given.use
    raise InvalidOptionError(
        f"debounce={given!r} is no kk.Debounce. Write debounce=kk.Debounce('user-123', '5s').", field="debounce"
    )


def _seconds(given: Any, name: str) -> float:
    try:
        return to_seconds(given, field=name)
    except InvalidDurationError:
        raise InvalidDurationError(
            f"{name}={given!r} of a debounce is not a duration (a moment is none). Give {type_of_duration}.", field=name
        ) from None
