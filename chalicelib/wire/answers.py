"""Stored answers, read and written again without the people they name."""

import json
from typing import Any

from chalicelib.booking.erasure import Answers, Erasure
from chalicelib.domain.parties import Json
from chalicelib.domain.shared_text import whole
from chalicelib.wire.jsonld import write

# Properties that may name people: gone with their Customer or attendee, or only where they name an erased person.
_OF_THE_CUSTOMER = ("customer", "orderCustomerNote")
_OF_AN_ATTENDEE = ("attendee", "orderItemIntakeFormResponse")
_IN_AN_ORDER = ("broker", "orderSellerNote")
_IN_AN_ITEM = ("accessPass", "accessCode", "accessChannel", "customerNotice", "cancellationMessage")


def _texts(answer: str) -> Any:
    document = json.loads(whole(answer))
    return [
        *(document.get(name) for name in (*_OF_THE_CUSTOMER, *_IN_AN_ORDER, "payment")),
        *(item.get(name) for item in _items(document) for name in (*_OF_AN_ATTENDEE, *_IN_AN_ITEM)),
    ]


def _without(answer: str, erasure: Erasure) -> str:
    document = json.loads(whole(answer))
    _remove(document, _OF_THE_CUSTOMER, _IN_AN_ORDER, erasure, is_gone=erasure.everyone)
    if "payment" in document:
        document["payment"] = erasure.payment_kept(document["payment"])
    for item in _items(document):
        is_gone = erasure.concerns(str(item.get("@id", "")).rpartition("/")[2])
        if is_gone and "accessPass" in item:
            item["accessPass"] = list(erasure.own_passes(item["accessPass"]))
        _remove(item, _OF_AN_ATTENDEE, _IN_AN_ITEM, erasure, is_gone=is_gone)
    return write(document)


def _items(document: Json) -> list[Json]:
    return [item for item in document.get("orderedItem", ()) if isinstance(item, dict)]


def _remove(
    document: Json, own: tuple[str, ...], others: tuple[str, ...], erasure: Erasure, *, is_gone: bool
) -> None:
    for name in (*own, *others):
        if name not in document:
            continue
        kept = None if is_gone and name in own else erasure.kept(document[name])
        if kept is None:
            del document[name]
        else:
            document[name] = kept


ANSWERS = Answers(_texts, _without)
