"""Who acts for a Seller. Each action of a Seller gets an Actor and refuses what belongs to another Seller."""

from enum import StrEnum

from chalicelib.values import dataclass


class Via(StrEnum):
    """Where an action comes from."""

    command_line = "command line"  # of this machine or a stage, with the operator's credentials
    page = "page"  # a page on which a person has signed in
    test_interface = "test interface"
    schedule = "schedule"  # work that is due, without a person


@dataclass(frozen=True)
class Actor:
    """A person or program that acts for one Seller.

    `name` identifies it for the journal: the id of a login, the user of this machine, or the ARN of the credentials.
    `seller_id` is the stored id of the Seller: the only one whose rows it may see or change. `address` is where
    the request came from, if that is known.
    """

    name: str
    via: Via
    seller_id: str
    address: str | None = None

    def owns(self, seller_id: str) -> bool:
        """Whether a row of this Seller may be seen and changed. A service answers for others as if there were none."""
        return seller_id == self.seller_id
