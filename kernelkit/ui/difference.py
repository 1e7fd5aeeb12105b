"""What is new in a view, so that of a picture with hundreds of rows only those are sent that have changed.

Pure; `widgets/mend.js` makes the whole of it again. A list is told as pieces of what it was: `[from, to]` stays,
`[at, fields]` has other fields now (a third place names those that are gone), `[row]` is new. What a newcomer would get
wrong: rows are only paired by their keys. Rows that share one, or have none, cost bytes and are right all the same. A
long text of a character an item is told in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

_KEYS = ("key", "id", "run_id", "name")
_LONG = 100  # characters


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Which fields are `set` anew, which lists have other `rows`, what is `gone`; empty where nothing has changed.

    >>> difference({"ended": 1, "rows": [{"id": "a", "n": 1}, {"id": "b"}]}, {"ended": 1, "rows": [{"id": "b"}]})
    {'rows': {'rows': [[1, 2]]}}
    >>> difference({"at": 1, "why": "full"}, {"at": 2})
    {'set': {'at': 2}, 'gone': ['why']}
    """
    found: dict[str, dict[str, Any]] = {"set": {}, "rows": {}}
    for name, value in new.items():
        before: Any = old.get(name)
        if name in old and before == value:
            continue
        if _is_list(before) and _is_list(value):
            found["rows"][name] = _pieces(before, value)
        elif isinstance(value, str) and isinstance(before, str) and len(value) == len(before) >= _LONG:
            found["rows"][name] = _stretches(before, value)
        else:
            found["set"][name] = value
    gone = [name for name in old if name not in new]
    return {kind: what for kind, what in {**found, "gone": gone}.items() if what}


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], (dict, list, tuple))


def _pieces(old: Sequence[Any], new: Sequence[Any]) -> list[list[Any]]:
    places = {_key(row): place for place, row in enumerate(old)}
    pieces: list[list[Any]] = []
    for at, row in enumerate(new):
        key = _key(row)
        place = at if at < len(old) and _key(old[at]) == key else places.get(key)
        if place is None:
            pieces.append([row])
        elif old[place] == row:
            if pieces and _is_range(pieces[-1]) and pieces[-1][1] == place:
                pieces[-1][1] += 1
            else:
                pieces.append([place, place + 1])
        elif isinstance(row, dict):
            pieces.append([place, *_fields(old[place], row)])
        else:
            pieces.append([row])
    return pieces


def _stretches(old: str, new: str) -> list[list[Any]]:
    pieces: list[list[Any]] = []
    for is_same, group in groupby(range(len(new)), key=lambda at: old[at] == new[at]):
        places = list(group)
        pieces.append([places[0], places[-1] + 1] if is_same else [new[places[0] : places[-1] + 1]])
    return pieces if len(pieces) * 8 < len(new) else [[new]]


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Any]:
    changed = {name: value for name, value in new.items() if name not in old or old[name] != value}
    gone = [name for name in old if name not in new]
    return [changed, gone] if gone else [changed]


def _is_range(piece: list[Any]) -> bool:
    return len(piece) == 2 and isinstance(piece[1], int)


def _key(row: Any) -> Any:
    if isinstance(row, dict):
        return next((row[name] for name in _KEYS if isinstance(row.get(name), str)), None)
    return row[0] if row and isinstance(row[0], (str, int)) else None
