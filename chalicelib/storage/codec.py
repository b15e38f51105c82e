"""Encode domain values as text and decode them, by their type annotations.

Fields that a newer version adds have defaults, so that older rows can still be read.
"""

import zlib
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, TypeVar

import msgspec

from chalicelib.storage.dictionary import CURRENT, DICTIONARIES
from chalicelib.values import astuple

T = TypeVar("T")


class Undecodable(ValueError):
    """The text is not a value of the expected type."""


def to_json(value: Any) -> str:
    """The value as JSON; Decimals become strings, instants RFC 3339, durations ISO 8601."""
    return msgspec.json.encode(value).decode()


def to_short_json(values: Sequence[Any]) -> str:
    """Values of one class as a JSON list, without what they have by default. `from_json` adds it again."""
    if not values:
        return "[]"
    kind: Any = type(values[0])
    short = _without_defaults(kind)
    return to_json([short(*astuple(value)) for value in values])


@cache
def _without_defaults(kind: Any) -> Any:
    """The class, of which only the encoding differs."""
    return msgspec.defstruct(kind.__name__, (), bases=(kind,), omit_defaults=True)


def canonical(value: Any) -> bytes:
    """The value as JSON in UTF-8 with sorted names: equal for equal values. For digests."""
    return msgspec.json.encode(value, order="sorted")


def encode(value: Any) -> bytes:
    """The value as JSON in UTF-8; bytes become base64."""
    return msgspec.json.encode(value)


def from_json(text: str | bytes, kind: type[T]) -> T:
    """The value of type `kind` that `to_json` wrote. Raises Undecodable."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise Undecodable(str(error)) from error


def pack(value: Any) -> bytes:
    """The value as compressed JSON. An order repeats the same activity: compression leaves about a tenth."""
    return pack_json(to_json(value))


def pack_json(text: str) -> bytes:
    """The same for a value that `to_json` has written."""
    return _compressed(text.encode())


def unpack(data: bytes, kind: type[T]) -> T:
    """The value of type `kind` that `pack` wrote. Raises Undecodable."""
    try:
        text = _decompressed(data)
    except zlib.error as error:
        raise Undecodable(str(error)) from error
    return from_json(text, kind)


# Beyond this distance, zlib no longer finds repeated text.
WINDOW_BYTES = 32_768
# In texts of this size together it finds most, and what it does not find is never much.
_PLAIN_BYTES = 2 * WINDOW_BYTES

# No JSON text has these two characters outside an escape.
_SHARED, _BETWEEN = "\x01", "\x02"
_NESTED = '":{"'  # between the text before an object and the rest of it
_MARK = b"\x01"  # no zlib stream begins with this byte
_SHARED_FROM = 24  # characters; shorter texts are not shared


def pack_texts(*texts: str) -> bytes:
    """JSON texts, compressed together. Where they are large, each long string is kept once, at any distance.

    An order repeats the same description for each place, at distances beyond what zlib searches.
    """
    whole = _BETWEEN.join(texts)
    if len(whole) <= _PLAIN_BYTES and len(plain := whole.encode()) <= _PLAIN_BYTES:
        return _compressed(plain)
    return _pack_large(whole)


@lru_cache(maxsize=1)  # a large Order is packed to see whether its row has space for it, and then to store it
def _pack_large(whole: str) -> bytes:
    known: dict[str, str] = {}
    # An order of 100 places has few different objects: one that comes again is looked at once more, and not
    # a third time.
    again: dict[str, str | None] = {}
    pieces = whole.split(_NESTED)
    for place, piece in enumerate(pieces):
        if piece not in again:
            again[piece] = None
            pieces[place] = _with_references(piece, known)
        else:
            if (repeated := again[piece]) is None:
                again[piece] = repeated = _with_references(piece, known)
            pieces[place] = repeated
    return _MARK + _compressed(_NESTED.join(pieces).encode())


def _with_references(text: str, known: dict[str, str]) -> str:
    """The text with a reference for each long string that was there before; its other ones are added to `known`."""
    parts = text.split('"')
    for place, part in enumerate(parts):
        if len(part) >= _SHARED_FROM:
            if part in known:
                parts[place] = known[part]
            else:
                known[part] = f"{_SHARED}{len(known)}"
    return '"'.join(parts)


# A stream of zlib begins with two bytes, of which one bit says that the checksum of a dictionary follows.
_HAS_DICTIONARY = 0x20


_with_dictionary = True


def write_with_dictionary(on: bool) -> None:
    """Whether rows are written with the dictionary from now on; they are read with and without it."""
    global _with_dictionary  # noqa: PLW0603 - of all rows of a process
    _with_dictionary = on
    _pack_large.cache_clear()


def _compressed(data: bytes) -> bytes:
    if not _with_dictionary:
        return zlib.compress(data)
    maker = zlib.compressobj(zdict=CURRENT)
    return maker.compress(data) + maker.flush()


def _decompressed(data: bytes) -> bytes:
    """Raises zlib.error, also for the dictionary of a later release."""
    if len(data) < 6 or not data[1] & _HAS_DICTIONARY:
        return zlib.decompress(data)
    dictionary = DICTIONARIES.get(int.from_bytes(data[2:6], "big"))
    if dictionary is None:
        raise zlib.error("the dictionary is unknown")
    reader = zlib.decompressobj(zdict=dictionary)
    text = reader.decompress(data) + reader.flush()
    if not reader.eof or reader.unused_data:
        raise zlib.error("the data is incomplete, or has an appendix")
    return text


def unpack_texts(data: bytes) -> list[str]:
    """The texts that `pack_texts` wrote. Raises Undecodable."""
    try:
        if not data.startswith(_MARK):
            return _decompressed(data).decode().split(_BETWEEN)
        parts = _decompressed(data[len(_MARK) :]).decode().split('"')
        known: list[str] = []
        for place, part in enumerate(parts):
            if part.startswith(_SHARED):
                parts[place] = known[int(part[len(_SHARED) :])]
            elif len(part) >= _SHARED_FROM:
                known.append(part)
    except (zlib.error, ValueError, IndexError) as error:
        raise Undecodable(str(error)) from error
    return '"'.join(parts).split(_BETWEEN)
