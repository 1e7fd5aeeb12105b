"""Cron expressions in words, for screens: "At 09:00, Monday through Friday"."""

from __future__ import annotations

import importlib
from functools import lru_cache

from kernelkit.rules.cron import plain_form


@lru_cache(maxsize=1_024)
def in_words(cron: str) -> str:
    """What the expression means; the expression itself where the library has no words for it.

    >>> in_words("0 9 * * 1-5")
    'At 09:00, Monday through Friday'
    """
    described = importlib.import_module("cron_descriptor")  # opened when the first schedule is shown
    options = described.Options()
    options.use_24hour_time_format = True
    try:
        words: str = described.get_description(plain_form(cron).upper(), options)
    except (described.FormatError, described.MissingFieldError, described.WrongArgumentError):
        return cron
    return words
