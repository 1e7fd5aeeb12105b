"""`kernelkit tokens` as a program."""

from __future__ import annotations

import contextlib
import json

from kernelkit.client.client import Client
from kernelkit.config import Home
from tests.cli.conftest import KernelKit

ROW = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def test_tokens_are_completed_shown_and_listed(kernelkit: KernelKit, home: Home) -> None:
    kernelkit("up")
    assert kernelkit("tokens").startswith("No such token")
    assert json.loads(kernelkit("tokens", "list", "--json")) == []

    done = json.loads(kernelkit("tokens", "complete", "deploy", "approved=true", "--json"))
    again = kernelkit("tokens", "complete", "deploy", "[2]")
    read = json.loads(kernelkit("tokens", "complete", "piped", "-", "--json", said='{"from": "a pipe"}'))
    nothing = json.loads(kernelkit("tokens", "complete", "empty", "--json"))

    assert (done["status"], done["name"], done["output"]) == ("COMPLETED", "deploy", {"approved": True})
    assert '"approved": true' in again, "the first completion counts"
    assert (read["output"], nothing["output"], nothing["status"]) == ({"from": "a pipe"}, None, "COMPLETED")
    assert json.loads(kernelkit("tokens", "show", done["id"], "--json")) == done
    assert f"token {done['id']}: completed" in kernelkit("tokens", "show", "deploy")
    assert "a commit takes" in kernelkit("status"), "there have been some"
    listed = kernelkit("tokens", "list", "--status", "completed", "--limit", "2")
    assert "the newest 2 of 3 tokens" in listed
    assert json.loads(kernelkit("tokens", "list", "--tag", "none", "--json")) == []


def test_an_answer_has_to_fit_what_is_asked_for(kernelkit: KernelKit, home: Home) -> None:
    kernelkit("up")
    with contextlib.closing(Client(home.path, start=False)) as client:
        token = client.tokens.create(schema=ROW, question="How many?").id

    refused = kernelkit("tokens", "complete", token, "n=many", wanted=1)
    open_ = json.loads(kernelkit("tokens", "show", token, "--json"))
    done = json.loads(kernelkit("tokens", "complete", token, "n=3", "--json"))

    assert "n: Input should be a valid integer" in refused
    assert (open_["status"], open_["schema"], open_["question"]) == ("WAITING", ROW, "How many?")
    assert (done["status"], done["output"]) == ("COMPLETED", {"n": 3})


def test_what_cannot_be_is_said(kernelkit: KernelKit, home: Home) -> None:
    kernelkit("up")

    assert "There is no token 'nowhere'" in kernelkit("tokens", "show", "nowhere", wanted=1)
    assert "no token 'waitpoint_0" in kernelkit("tokens", "complete", "waitpoint_000000000000000000", wanted=1)
    assert "JSON" in kernelkit("tokens", "complete", "deploy", "{broken", wanted=1)
    assert "1 to 2,048 characters" in kernelkit("tokens", "complete", "n" * 3_000, "1", wanted=1)
