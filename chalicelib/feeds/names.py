"""The ids of feeds in the feeds table. A page is read without the code that writes it."""


def orders_feed(partner_id: str) -> str:
    """The id of a booking partner's own Orders feed (OFEED-01)."""
    return f"orders#{partner_id}"


def proposals_feed(partner_id: str) -> str:
    """The id of a booking partner's own OrderProposals feed (T3)."""
    return f"order-proposals#{partner_id}"
