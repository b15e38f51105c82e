"""How large things may be: one table, which docs/limits.md is made from.

Sizes are bytes of compact JSON in UTF-8, unless a limit says otherwise.
"""

import json
from typing import Any

from chalicelib.domain.errors import RequestTooLargeError
from chalicelib.domain.identifiers import BASE
from chalicelib.values import dataclass

# Lambda takes and returns 6 MB for a synchronous call, less than the 10 MB of API Gateway.
MAX_BODY_BYTES = 6 * 1024 * 1024
# Leaves room for what is around an answer on its way through Lambda.
MAX_ANSWER_BYTES = 4 * 1024 * 1024
# The items of a page; its links and its licence take less than the rest.
MAX_PAGE_BYTES = MAX_ANSWER_BYTES - 10_000
# DynamoDB takes 400 KB (409,600 bytes) an item; what is left is room for the other attributes.
MAX_ROW_BYTES = 380_000

MAX_ITEMS = 200
# The largest whole number that every reader of JSON can hold.
MAX_POSITION = 2**53 - 1
# With 24 Opportunities a snapshot reads 78 keys of 100, and a quote that swaps all of them writes 98 rows of 100.
MAX_OPPORTUNITIES = 24
# A replacement may add to those that were booked; all of them are still cancelled in one transaction.
MAX_OPPORTUNITIES_KEPT = 32
# A transaction of 100 rows has two for each Opportunity whose spaces move, the Order, its counters, and what ends it.
MAX_MOVES = 48

MAX_CUSTOMER_BYTES = 100 * 1024
MAX_BROKER_BYTES = 16 * 1024
MAX_PAYMENT_BYTES = 4 * 1024
MAX_ATTENDEE_BYTES = 8 * 1024
MAX_ANSWERS_BYTES = 16 * 1024
MAX_ANSWER_TEXT_BYTES = 4 * 1024
MAX_PASSES_BYTES = 16 * 1024
MAX_DETAILS_BYTES = 128 * 1024

MAX_NOTE_BYTES = 2_000
MAX_NOTES = 40

# DynamoDB's longest sort key is 1,024 bytes; an id is part of one, after a short word.
MAX_ID_BYTES = 1_000
MAX_OPPORTUNITY_BYTES = 360_000
MAX_CHANNEL_BYTES = 1_000


@dataclass(frozen=True)
class Limit:
    """A row of the table: what is bounded, the bound, and what happens beyond it."""

    of: str
    most: int
    unit: str
    beyond: str


_REFUSED = "413; nothing is written"
_NOT_TAKEN_IN = "The import reports the opportunity and leaves it out"

LIMITS: tuple[Limit, ...] = (
    Limit("Body of a request", MAX_BODY_BYTES, "bytes", _REFUSED),
    Limit("OrderItems of an order", MAX_ITEMS, "items", _REFUSED),
    Limit(
        "Different opportunities of an order at C1, C2, P and B",
        MAX_OPPORTUNITIES,
        "opportunities",
        "`OpportunityIsInConflictError` on each further item",
    ),
    Limit(
        "Different opportunities of an order after replacements, those of cancelled items included",
        MAX_OPPORTUNITIES_KEPT,
        "opportunities",
        "The Seller's replacement is refused",
    ),
    Limit(
        "Opportunities of which one replacement takes or releases spaces",
        MAX_MOVES,
        "opportunities",
        "The Seller's replacement is refused: fewer items can be replaced at once",
    ),
    Limit("`customer`", MAX_CUSTOMER_BYTES, "bytes", _REFUSED),
    Limit("`broker`", MAX_BROKER_BYTES, "bytes", _REFUSED),
    Limit("`payment`", MAX_PAYMENT_BYTES, "bytes", _REFUSED),
    Limit("`attendee` of an item", MAX_ATTENDEE_BYTES, "bytes", _REFUSED),
    Limit("`orderItemIntakeFormResponse` of an item", MAX_ANSWERS_BYTES, "bytes", _REFUSED),
    Limit(
        "One answer to a field of an intake form",
        MAX_ANSWER_TEXT_BYTES,
        "bytes of text",
        "`InvalidIntakeFormError` on the item",
    ),
    Limit("`accessPass` of an item, as the Broker supplies it", MAX_PASSES_BYTES, "bytes", _REFUSED),
    Limit("All of these of one order together", MAX_DETAILS_BYTES, "bytes", _REFUSED),
    Limit("`orderCustomerNote`", MAX_NOTE_BYTES, "bytes of text", _REFUSED),
    Limit(
        "A notice, a cancellation message or a note of the Seller",
        MAX_NOTE_BYTES,
        "bytes of text",
        "The Seller's action is refused",
    ),
    Limit(
        "Different notices and messages of one order",
        MAX_NOTES,
        "texts",
        "The Seller's action is refused; when an opportunity is cancelled, the message is left out",
    ),
    Limit(
        "An order in its row, compressed, with room for later changes",
        MAX_ROW_BYTES,
        "bytes",
        "413; nothing is written",
    ),
    Limit(
        "An answer, an item of a feed, or a page of a feed",
        MAX_ANSWER_BYTES,
        "bytes as Lambda returns them",
        "Answers and items leave out descriptions; a page has fewer items",
    ),
    Limit("`@id` of an opportunity", MAX_ID_BYTES, "bytes", _NOT_TAKEN_IN),
    Limit("`@id` of an offer", MAX_ID_BYTES, "bytes", "The import reports the offer, which cannot be booked"),
    Limit("An opportunity with what it inherits", MAX_OPPORTUNITY_BYTES, "bytes", _NOT_TAKEN_IN),
    Limit("`accessChannel` of an opportunity", MAX_CHANNEL_BYTES, "bytes", _NOT_TAKEN_IN),
)


# `json.dumps` would make a new encoder for each call.
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def json_bytes(value: Any) -> int:
    """The size of a value as compact JSON in UTF-8."""
    return len(_COMPACT.encode(value).encode())


def carried_bytes(text: str) -> int:
    """An upper bound of what `text` takes in Lambda's answer.

    There it is a JSON string, in which quotes and backslashes are escaped, and its base URLs are real ones
    of up to 84 characters.
    """
    return len(text.encode()) + text.count('"') + text.count("\\") + 64 * text.count(BASE)


# Four bytes of UTF-8 for a character, or two for an escaped one, and a longer base URL instead of `BASE`.
_MOST_FOR_A_CHARACTER = 4 + -(-64 // len(BASE))


def is_carried(text: str) -> bool:
    """Whether Lambda's answer can carry a text; short ones need not be searched to see that."""
    return len(text) * _MOST_FOR_A_CHARACTER <= MAX_ANSWER_BYTES or carried_bytes(text) <= MAX_ANSWER_BYTES


def check_bytes(name: str, size: int, most: int) -> None:
    """Raises RequestTooLargeError, which names the property and its bound."""
    if size > most:
        raise RequestTooLargeError(f"{name} has {size:,} bytes; it may have at most {most:,}.")


def check_text(name: str, text: str | None) -> None:
    """Refuse a notice, message or note that is too long. Raises RequestTooLargeError."""
    check_bytes(name, len((text or "").encode()), MAX_NOTE_BYTES)
