"""The services for the administration of one installation, for one user. Wiring only."""

from functools import cached_property
from typing import TYPE_CHECKING

from chalicelib.runtime.partners import PartnerAdministration
from chalicelib.runtime.system import System
from chalicelib.services.actors import Actor, Via
from chalicelib.services.api_keys import ApiKeys
from chalicelib.services.invitations import Invitations
from chalicelib.services.logins import Logins
from chalicelib.services.parked import ParkedAdministration
from chalicelib.services.set_aside import SetAsideAdministration
from chalicelib.services.tokens import RefreshTokens, SigningKeyAdministration
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.domain.orders import Order
    from chalicelib.domain.parties import Json
    from chalicelib.services.desk.acting import Acting
    from chalicelib.services.desk.belongings import Belongings
    from chalicelib.services.desk.lists import SellerLists
    from chalicelib.services.desk.orders import SellerOrders
    from chalicelib.services.desk.sales import Sales
    from chalicelib.services.desk.sessions import SellerSessions
    from chalicelib.services.people import People
    from chalicelib.services.timetables.timetable import Timetable


@dataclass
class Administration(PartnerAdministration):
    """`by` is the user, for the journal; `base_url` the URL of the installation, if known."""

    system: System

    def timetable(self, seller_id: str) -> "Timetable":
        """The timetable of one Seller, by its stored id."""
        from chalicelib.services.timetables.timetable import Timetable

        system = self.system
        return Timetable(seller_id, system.inventory, system.retry, system.now, system.register)

    # --- what Sellers do ----------------------------------------------------------------

    def actor(self, seller: str | None, via: Via = Via.command_line) -> Actor:
        """The user, acting for a Seller; it may be left out where there is only one. Raises NotFound, InvalidValue."""
        return Actor(self.by, via, self.sellers.meant(seller).id)

    @cached_property
    def belongings(self) -> "Belongings":
        from chalicelib.services.desk.belongings import Belongings

        return Belongings(self.system.store, self.system.retry, self.seller_ids)

    def sessions_of_order(self, uuid: str, partner: str | None, seller: str | None) -> "dict[str, datetime]":
        """The sessions that the Orders with this UUID book, by id, each with when that began."""
        sellers = [self.sellers.find(seller)] if seller else self.sellers.all()
        return self.belongings.sessions_of([each.id for each in sellers], uuid, partner)

    @cached_property
    def seller_lists(self) -> "SellerLists":
        from chalicelib.services.desk.lists import SellerLists

        return SellerLists(self.belongings, self.system.now)

    @cached_property
    def _acting(self) -> "Acting":
        from chalicelib.services.desk.acting import Acting

        return Acting(self.belongings, self.system.seller_actions, self.journal)

    @cached_property
    def seller_sessions(self) -> "SellerSessions":
        from chalicelib.services.desk.sessions import SellerSessions

        return SellerSessions(self._acting, self._places)

    def _places(self, seller_id: str) -> "list[Json]":
        """The sites and rooms of a Seller's timetable."""
        from chalicelib.services.desk.places import places_in

        return places_in(entry.plan.parent for entry in self.timetable(seller_id).entries().values())

    @cached_property
    def seller_orders(self) -> "SellerOrders":
        from chalicelib.services.desk.orders import SellerOrders

        return SellerOrders(self._acting)

    @cached_property
    def sales(self) -> "Sales":
        from chalicelib.services.desk.sales import Sales

        return Sales(self._acting, self.system.bookings, self._rendered, self.system.new_id)

    def _rendered(self, order: "Order") -> str:
        """The answer that is stored with an Order that no Broker has asked for."""
        from chalicelib.wire.orders import order_text

        system = self.system
        return order_text(order, system.booking_service(), with_prepayment=system.settings.prepayment)

    # --- the installation ---------------------------------------------------------------

    @cached_property
    def invitations(self) -> Invitations:
        return Invitations(self.entries, self.journal)

    @cached_property
    def api_keys(self) -> ApiKeys:
        return ApiKeys(self.entries, self.journal, self.authorisations, self.sellers)

    @cached_property
    def logins(self) -> Logins:
        system = self.system
        return Logins(self.entries, self.journal, self.sellers, system.passwords, system.new_id)

    @cached_property
    def refresh_tokens(self) -> RefreshTokens:
        return RefreshTokens(self.entries, self.journal, self.sellers)

    @cached_property
    def signing_keys(self) -> SigningKeyAdministration:
        return SigningKeyAdministration(self.entries, self.journal, self.system.keys)

    @cached_property
    def parked(self) -> ParkedAdministration:
        system = self.system
        return ParkedAdministration(system.parked, system.streams, self.journal)

    @cached_property
    def people(self) -> "People":
        """What is stored about people."""
        from chalicelib.feeds.contents import FeedContents
        from chalicelib.feeds.republishing import Republisher
        from chalicelib.services.people import People
        from chalicelib.storage.dynamodb.records import DynamoRecords

        system = self.system
        contents = FeedContents(system.store, system.consent.is_revoked)
        return People(
            system.store,
            system.feeds,
            system.pending,
            system.parked,
            DynamoRecords(),
            Republisher(system.feeds, contents, system.retry),
            self.entries,
            self.journal,
            system.attempts,
            system.moment,
        )

    @cached_property
    def set_aside(self) -> SetAsideAdministration:
        return SetAsideAdministration(self.system.pending, self.journal)
