"""Ids of Sellers and of their sessions as people write and read them, and as they are stored."""

import hashlib

from chalicelib.domain import identifiers
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.values import dataclass
from chalicelib.wire import links

# As many characters of a UUID are enough to name an Order, if no other begins like this.
SHORTEST_UUID = 4
# As many are shown at least.
SHOWN_UUID = 8

_IDENTIFIERS = f"{identifiers.IDENTIFIERS}/"
_SELLERS = f"{_IDENTIFIERS}sellers/"
_IDENTIFIERS_PATH = _IDENTIFIERS.removeprefix(identifiers.BASE)


@dataclass(frozen=True)
class SellerIds:
    """`base_url` is the URL of the installation, if known."""

    base_url: str | None = None

    def new(self, text: str) -> str:
        """The id of a new Seller. For an id under our URL, the last part is enough."""
        if "/" not in text:
            return _SELLERS + text
        return identifiers.inward(text, self.base_url) if self.base_url else text

    def shown(self, seller_id: str) -> str:
        """The id as feeds show it; if our URL is not known, the part that identifies the Seller."""
        if self.base_url:
            return identifiers.outward(seller_id, self.base_url)
        return seller_id.removeprefix(_SELLERS)

    def short_seller(self, seller_id: str) -> str:
        """The id of a Seller without what all ids under our URL have in common."""
        return seller_id.removeprefix(_SELLERS)

    def meant(self, text: str) -> list[str]:
        """The ids that a person may mean by `text`, the most likely first."""
        given = text.strip()
        _, ours, rest = given.partition(_IDENTIFIERS_PATH)
        possible = [given, self.new(given), *([f"{identifiers.IDENTIFIERS}/{rest}"] if ours else [])]
        return list(filter(links.is_identifier, dict.fromkeys(possible)))

    def short(self, opportunity_id: str, seller_id: str) -> str:
        """The id of a session or slot without what all of this Seller have in common; that of a feed is not shortened."""
        own = _own_part(opportunity_id)
        if own is None:
            return opportunity_id
        _, _, rest = own.partition("/")
        within = rest.removeprefix(f"{seller_part(seller_id)}/")
        return within if within != rest else own

    def meant_by_seller(self, seller_id: str, text: str) -> list[str]:
        """The ids of sessions and slots that a Seller may mean by `text`, which may be a short one."""
        given = text.strip()
        if "://" in given:
            return self.meant(given)
        short = [
            f"{identifiers.IDENTIFIERS}/{kind.traits.feed}/{seller_part(seller_id)}/{given}"
            for kind in OpportunityType
        ]
        possible = [*self.meant(given), *short, f"{identifiers.IDENTIFIERS}/{given}"]
        return list(filter(links.is_identifier, dict.fromkeys(possible)))


def seller_part(seller_id: str) -> str:
    """What identifies a Seller in the ids that we make for its sessions and places."""
    own = seller_id.removeprefix(_SELLERS)
    if own != seller_id and "/" not in own:
        return own
    return hashlib.sha256(seller_id.encode()).hexdigest()[:16]


def type_of(opportunity_id: str) -> OpportunityType | None:
    """The type that an id under our URL names; None for the id of another system."""
    return _BY_FEED.get((_own_part(opportunity_id) or "").partition("/")[0])


_BY_FEED = {kind.traits.feed: kind for kind in OpportunityType}


def _own_part(opportunity_id: str) -> str | None:
    """What follows our own beginning of a stored id; None for the id of another system, whose path may be like ours."""
    rest = opportunity_id.removeprefix(_IDENTIFIERS)
    return rest if rest != opportunity_id else None
