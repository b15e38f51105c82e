"""Domain values to text and back, by their type annotations.

Fields that a newer version adds have defaults, so that older rows still read.
"""

import zlib
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Undecodable(ValueError):
    """The text is not a value of the expected type."""


def to_json(value: Any) -> str:
    """The value as JSON; Decimals become strings, instants RFC 3339, durations ISO 8601."""
    return msgspec.json.encode(value).decode()


def from_json(text: str | bytes, kind: type[T]) -> T:
    """The value of type `kind` that `to_json` wrote. Raises Undecodable."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise Undecodable(str(error)) from error


def pack(value: Any) -> bytes:
    """The value as compressed JSON. The same activity stands many times in an order: about a tenth is left."""
    return zlib.compress(msgspec.json.encode(value))


def unpack(data: bytes, kind: type[T]) -> T:
    """The value of type `kind` that `pack` wrote. Raises Undecodable."""
    try:
        text = zlib.decompress(data)
    except zlib.error as error:
        raise Undecodable(str(error)) from error
    return from_json(text, kind)
