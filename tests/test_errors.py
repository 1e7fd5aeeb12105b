from __future__ import annotations

import json
import pickle

import pytest

from kernelkit import errors
from kernelkit.errors import CompleteTaskWithOutput, KernelKitError, UnknownTaskError, from_wire, to_wire


def tree(cls: type[KernelKitError]) -> list[type[KernelKitError]]:
    """All classes of `errors.py`, not those that other rooms keep to themselves."""
    below = [one for sub in cls.__subclasses__() for one in tree(sub)]
    return [one for one in (cls, *below) if one.__module__ == errors.__name__]


ALL = sorted(set(tree(KernelKitError)), key=lambda cls: cls.__name__)


def test_codes_are_stable_names_that_no_two_errors_share() -> None:
    codes = [cls.code for cls in ALL]

    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and " " not in code for code in codes)


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls is not CompleteTaskWithOutput])
def test_every_error_survives_pickling_and_the_wire_with_its_facts(cls: type[KernelKitError]) -> None:
    error = cls("It broke. Mend it.", task_id="resize", near=["resise"])

    for again in (pickle.loads(pickle.dumps(error)), from_wire(json.loads(json.dumps(to_wire(error))))):
        assert type(again) is cls
        assert (str(again), again.facts) == (str(error), error.facts)
        assert again.near == ["resise"]


def test_what_ends_a_body_with_success_is_pickled_with_its_output_and_never_goes_on_the_wire() -> None:
    again = pickle.loads(pickle.dumps(CompleteTaskWithOutput({"rows": [1]})))

    assert again.output == {"rows": [1]}


@pytest.mark.parametrize("cls", ALL)
def test_every_error_says_what_it_is_for(cls: type[KernelKitError]) -> None:
    assert cls.__doc__


def test_an_error_of_a_newer_engine_is_still_an_error() -> None:
    error = from_wire({"code": "of_next_year", "message": "Something new."})

    assert (type(error), str(error), error.facts) == (KernelKitError, "Something new.", {})


def test_a_fact_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = UnknownTaskError("No task.").near
