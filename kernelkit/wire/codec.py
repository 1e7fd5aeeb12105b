"""The one frame codec: messages to MessagePack and back."""

from __future__ import annotations

import msgspec

from kernelkit.wire.messages.envelopes import AnyMessage

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: AnyMessage) -> bytes:
    return _encoder.encode(message)


def decode(data: bytes | memoryview) -> AnyMessage:
    """The message in `data`; raises `msgspec.DecodeError` for anything else."""
    message: AnyMessage = _decoder.decode(data)
    return message
