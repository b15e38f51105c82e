"""How people at a desk call what the specification and the rows call otherwise. JSON keeps the values as they are."""

from chalicelib.services.desk.partner import DESK

_WORDS = {
    # orderItemStatus
    "OrderItemProposed": "proposed",
    "OrderItemConfirmed": "booked",
    "CustomerCancelled": "cancelled by the customer",
    "SellerCancelled": "cancelled by you",
    "AttendeeAttended": "attended",
    "AttendeeAbsent": "absent",
    # orderProposalStatus
    "AwaitingSellerConfirmation": "waits for your answer",
    "SellerAccepted": "accepted, not booked yet",
    "SellerRejected": "rejected by you, or ended",
    "CustomerRejected": "withdrawn by the customer",
    # how an Order holds spaces
    "leased": "reserved",
    "requested": "proposed",
    # brokerRole
    "AgentBroker": "a Broker, for you",
    "ResellerBroker": "a Broker, who resells",
    "NoBroker": "yourself",
    # taxMode
    "TaxGross": "gross",
    "TaxNet": "net",
    # the kinds of Orders
    "OrderQuote": "quote",
    "OrderProposal": "proposal",
    "Order": "booking",
    # what has no spaces itself
    "SessionSeries": "series of sessions",
    "FacilityUse": "facility",
    "IndividualFacilityUse": "court of a facility",
    "EventSeries": "series of events",
}
_AT_THE_DESK = "sold at the desk"


def word(value: str) -> str:
    """The word for a value, or the value itself if it needs none."""
    return _WORDS.get(value, value)


def change_in_words(change: str) -> str:
    """A difference, such as `booked → cancelled by you`."""
    return " → ".join(map(word, change.split(" → ")))


def partner_word(partner_id: str) -> str:
    """A booking partner in a table: its id, unless it is the Seller's own desk."""
    return _AT_THE_DESK if partner_id.startswith(DESK) else partner_id


def from_partner(partner_id: str) -> str:
    """Where an Order comes from, to follow it in a sentence."""
    return _AT_THE_DESK if partner_id.startswith(DESK) else f"of booking partner {partner_id}"
