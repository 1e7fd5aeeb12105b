"""The rooms of messages together: what one of them has, the codec knows and `messages` shows."""

from __future__ import annotations

from typing import get_args

from kernelkit.wire import messages as m


def test_every_message_stands_in_a_union_of_the_codec() -> None:
    united = {*get_args(m.AnyMessage), *get_args(m.RequestBody), *get_args(m.ReplyBody), *get_args(m.ReportBody)}
    assert united == {it for it in m.Message.__subclasses__() if it.__module__.startswith(m.__name__)}


def test_messages_shows_what_its_rooms_have() -> None:
    for message in m.Message.__subclasses__():
        assert getattr(m, message.__name__) is message
