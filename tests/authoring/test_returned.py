from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from kernelkit.authoring.returned import Returned
from kernelkit.errors import KernelKitError


@dataclass
class Receipt:
    number: int
    at: datetime


class Item(BaseModel):
    name: str


class Shop:
    def sell(self) -> Receipt:
        return RECEIPT

    def __call__(self) -> list[Item]:
        return [Item(name="pen")]


async def charge(amount: int, *more: int, **words: str) -> Receipt:
    return RECEIPT


def plain() -> dict[str, Any]:
    return {"a": 1}


def unresolved() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821  # what the test is about
    return {"a": 1}


def days() -> tuple[date, ...] | None:
    return (date(2030, 1, 1),)


RECEIPT = Receipt(7, datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fn", "value"),
    [
        (charge, RECEIPT),
        (functools.partial(charge, 3), RECEIPT),
        (Shop().sell, RECEIPT),
        (Shop(), [Item(name="pen")]),
        (Item, Item(name="pen")),
        (days, (date(2030, 1, 1),)),
        (days, None),
        (plain, {"a": 1}),
        (unresolved, {"a": 1}),
        (len, 3),
        (lambda: 0, {"any": [1, 2]}),
    ],
)
def test_a_result_comes_back_as_the_annotation_says(fn: Callable[..., Any], value: object) -> None:
    returned = Returned(fn, "kk.step('a', …)")

    assert returned.revive(returned.encode(value)) == value


def test_without_an_annotation_it_is_plain_json() -> None:
    returned = Returned(lambda: RECEIPT, "kk.step('a', …)")

    assert returned.revive(returned.encode(RECEIPT)) == {"number": 7, "at": "2030-01-01T00:00:00Z"}


def test_what_is_no_json_is_refused_and_named() -> None:
    with pytest.raises(KernelKitError, match=r"kk\.step\('a', …\)"):
        Returned(lambda: 0, "kk.step('a', …)").encode(object())
