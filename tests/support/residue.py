"""Everything that the tables of an installation contain, as plain text: what is compressed or encoded is read, too."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator
from typing import Any

from chalicelib.domain.shared_text import whole
from chalicelib.runtime.system import System
from chalicelib.storage import codec
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.dynamodb.scans import scan_whole

TABLES = ("inventory", "orders", "feeds", "identity", "pending")


def stored_text(system: System) -> str:
    """All rows of all tables, so that a search for a person has nowhere else to look."""
    tables = system.store._tables  # type: ignore[attr-defined]
    rows = [raw for table in TABLES for raw in scan_whole(tables, tables.name(table))]
    # A parked record is in several rows.
    rows.sort(key=lambda raw: json.dumps(raw, default=repr))
    parts = [raw["document"]["S"] for raw in rows if "parked-content" in str(raw.get("kind"))]
    return "\n".join([*texts(rows), *texts("".join(parts))])


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, and what is packed in it."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield str(name)
            yield from texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)
    elif isinstance(value, bytes):
        yield from unpacked(value)
    else:
        yield str(value)
        if isinstance(value, str) and len(value) > 40:
            try:
                yield from unpacked(base64.b64decode(value, validate=True))
            except (ValueError, binascii.Error):
                return


def unpacked(data: bytes) -> Iterator[str]:
    """The texts in bytes that were packed; nothing of others."""
    try:
        for text in codec.unpack_texts(data):
            yield text
            if text:
                yield from texts(json.loads(whole(text)))
    except (Undecodable, ValueError, zlib.error):
        return
