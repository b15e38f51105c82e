"""Ids of Sellers as people write and read them, and as they are stored."""

from dataclasses import dataclass

from chalicelib.domain import identifiers
from chalicelib.wire import links

_SELLERS = f"{identifiers.IDENTIFIERS}/sellers/"
_IDENTIFIERS_PATH = identifiers.IDENTIFIERS.removeprefix(identifiers.BASE) + "/"


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

    def meant(self, text: str) -> list[str]:
        """The ids that a person may mean by `text`, the most likely first."""
        given = text.strip()
        _, ours, rest = given.partition(_IDENTIFIERS_PATH)
        possible = [given, self.new(given), *([f"{identifiers.IDENTIFIERS}/{rest}"] if ours else [])]
        return list(filter(links.is_identifier, dict.fromkeys(possible)))
