"""Find, export and erase what is stored about a person: in Orders, feeds, parked records, pending work and logins.

Nothing is indexed by people, so that there is nothing more to erase: a search reads the tables. An erasure that
was interrupted is continued by the same command, which finds what is left.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from chalicelib.booking.decisions import Moment, Wanted
from chalicelib.booking.erasure import end_of, erase_people, texts_of
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.domain.parties import Json
from chalicelib.domain.people import Traces
from chalicelib.feeds.contents import feed_of, partner_of
from chalicelib.feeds.parked import PARKED, PARKED_CONTENT, STREAMS, ParkedRecord, ParkedRecords
from chalicelib.feeds.republishing import Republisher
from chalicelib.identity.entries import JournalName, Login
from chalicelib.services.attempts import Attempts
from chalicelib.services.entries import Entries
from chalicelib.services.errors import NotFound, NotPossible
from chalicelib.services.journal import Journal
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import StoreBusy, UnreadableRow
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.pending import PendingStore
from chalicelib.storage.records import RecordReader
from chalicelib.storage.scans import BrokenRow, ScanPage
from chalicelib.storage.store import Store
from chalicelib.values import dataclass, field, replace
from chalicelib.wire.answers import ANSWERS
from chalicelib.wire.orders import order_document

T = TypeVar("T")

_TOGETHER = 500
# Orders that are named in one sentence.
_NAMED = 5

# Called with the part of the data that is read and how many rows of it were read so far.
Progress = Callable[[str, int], None]


def no_progress(what: str, rows: int) -> None:
    """For callers who do not show it."""


@dataclass(frozen=True)
class FoundOrder:
    """An Order that contains the person, and as what: `customer`, `attendee`, `text`."""

    order: Order
    places: tuple[str, ...]

    def is_upcoming(self, now: datetime) -> bool:
        """Whether the person is still expected."""
        ends_at = end_of(self.order)
        return ends_at is not None and ends_at > now and bool(self.order.holds())

    def waits(self, now: datetime) -> bool:
        """Whether it is a proposal that may still be accepted or booked."""
        return self.order.open_proposal is not None and not self.order.proposal_has_ended(now)


@dataclass
class Found:
    """What a search has found, and how many rows it has read, by kind; `unreadable` are keys of rows."""

    orders: list[FoundOrder] = field(default_factory=list)
    feed_items: dict[str, list[str]] = field(default_factory=dict)
    parked: list[ParkedRecord] = field(default_factory=list)
    pending: list[tuple[str, str]] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.orders or self.feed_items or self.parked or self.pending or self.logins)


@dataclass(frozen=True)
class People:
    """What is stored about people, for one installation. Every method may raise StillBusy."""

    store: Store
    feeds: FeedStore
    pending: PendingStore
    parked: ParkedRecords
    records: RecordReader
    republisher: Republisher
    entries: Entries
    journal: Journal
    attempts: Attempts
    moment: Callable[[], Moment]

    def find(self, sought: Traces, seller_id: str | None = None, progress: Progress = no_progress) -> Found:
        """Everything that contains the person; with `seller_id`, what belongs to Orders of that Seller.

        Reads all Orders, partners' feeds, parked records, pending work and logins.
        """
        found = Found()

        def is_meant(order: Order) -> bool:
            return seller_id in (None, order.seller_id)

        def counted(what: str, rows: int) -> None:
            found.read[what] = found.read.get(what, 0) + rows
            progress(what, found.read[what])

        for page in self._orders():
            counted("orders", len(page))
            for row in page:
                if isinstance(row, BrokenRow):
                    found.unreadable.append(row.key)
                elif isinstance(row, Order) and is_meant(row) and (places := places_in(row, sought)):
                    found.orders.append(FoundOrder(row, places))
        for feed_id, items in self._feed_items(counted):
            named = [item_id for item_id, text in items if sought.are_in(text)]
            if named and seller_id is not None:
                keys = [OrderKey(partner_of(feed_id), item_id) for item_id in named]
                stored = self._patiently(lambda: self.store.orders(keys))  # noqa: B023 - it runs at once
                named = [key.uuid for key in keys if key in stored and stored[key].seller_id == seller_id]
            if named:
                found.feed_items.setdefault(feed_id, []).extend(named)
        for parked in self._parked():
            counted("parked records", 1)
            orders = self._orders_in(parked)
            if orders is None:
                found.unreadable.append(parked.row)
            elif any(is_meant(order) and places_in(order, sought) for order in orders):
                found.parked.append(parked)
        for kind, entry_id, text in self._pending():
            counted("pending entries", 1)
            if sought.are_in(text):
                found.pending.append((kind, entry_id))
        if seller_id is None:
            logins = self.entries.all(Login)
            counted("logins", len(logins))
            found.logins = [each for each in logins if sought.are_in(each.username)]
        return found

    def order(self, key: str) -> FoundOrder:
        """One Order by its key, as a search shows it: `partner#uuid`. Raises NotFound."""
        partner_id, _, uuid = key.rpartition("#")
        wanted = OrderKey(partner_id, uuid)
        order = self._patiently(lambda: self.store.orders([wanted])).get(wanted) if uuid else None
        if not isinstance(order, Order):
            raise NotFound("order", key)
        return FoundOrder(order, ("everyone",))

    def export(self, found: Found, sought: Traces, booking_service: Json) -> Json:
        """What was found, as a document for the person: of Orders of others only the person's own items."""
        return {
            "orders": [
                {
                    "order": str(each.order.key),
                    "as": list(each.places),
                    "seller": each.order.seller_id,
                    "made": each.order.created_at,
                    "document": order_document(_own_part(each.order, sought), booking_service),
                }
                for each in found.orders
            ],
            "feeds": [
                {"feed": feed_id, "items": list(item_ids)} for feed_id, item_ids in found.feed_items.items()
            ],
            "parked_records": [
                {"record": each.id, "order": each.row, "kept_until": each.expires_at} for each in found.parked
            ],
            "pending_work": [{"kind": kind, "entry": entry_id} for kind, entry_id in found.pending],
            "logins": [
                {"username": each.username, "id": each.id, "made": each.made_at} for each in found.logins
            ],
        }

    def check(self, found: Found, now: datetime, *, also_upcoming: bool) -> None:
        """Whether all that was found can be erased. Raises NotPossible."""
        if found.pending:
            kind, entry_id = found.pending[0]
            raise NotPossible(
                f"Unfinished work names the person: {kind} {entry_id}. Wait until it is finished; if it was set "
                "aside, replay or discard it. Nothing was erased."
            )
        if waiting := [str(each.order.key) for each in found.orders if each.waits(now)]:
            more = f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
            raise NotPossible(
                f"Proposals of the person wait to be answered or booked: {', '.join(waiting[:_NAMED])}{more}. Reject "
                "them first: without the person, they could still be booked. Nothing was erased."
            )
        upcoming = [each for each in found.orders if each.is_upcoming(now)]
        if upcoming and not also_upcoming:
            raise NotPossible(
                f"Bookings of the person have not ended ({len(upcoming)}, such as order {upcoming[0].order.key}): "
                "cancel them first, or erase the person from these, too (--also-upcoming). Nothing was erased."
            )

    def erase(
        self, found: Found, sought: Traces | None, *, erasure_id: str, progress: Progress = no_progress
    ) -> dict[str, int]:
        """Erase the person, or everyone (`sought` None), from what was found; how many of each were changed.

        Each change is complete in itself. The feeds show it at once.
        """
        self.journal.note("erasure begun", erasure=erasure_id)
        done = {"orders": 0, "feed items": 0, "parked records": 0, "logins": 0}

        def counted(what: str, more: int = 1) -> None:
            done[what] += more
            progress(what, done[what])

        shown = {feed_id: list(item_ids) for feed_id, item_ids in found.feed_items.items()}
        for each in found.orders:
            key = each.order.key
            if self.erase_order(key, sought):
                if each.order.published and (feed_id := feed_of(each.order)):
                    # The item may name the person without the detail that was looked for.
                    shown.setdefault(feed_id, []).append(key.uuid)
                ids = {"partner": key.partner_id, "order": key.uuid, "seller": each.order.seller_id}
                self.journal.note("people erased from an order", erasure=erasure_id, **ids)
                counted("orders")
        keys = {str(each.order.key) for each in found.orders}
        for parked in self._parked():
            if parked in found.parked or parked.row in keys:
                self.parked.discard(parked)
                self.journal.note(
                    "parked record erased", erasure=erasure_id, record=parked.id, row=parked.row
                )
                counted("parked records")
        now = self.moment().now
        for feed_id, item_ids in shown.items():
            counted("feed items", self.republisher.publish(feed_id, item_ids, now))
        for login in found.logins:
            self.entries.remove(login)
            self.journal.note("login erased", erasure=erasure_id, login=login.id)
            counted("logins")
        self.journal.note("erasure finished", erasure=erasure_id)
        return done

    def erase_order(self, key: OrderKey, sought: Traces | None) -> bool:
        """Erase these people, or everyone, from one Order; False if it did not contain them."""
        moment = self.moment()
        return self.attempts.carry_out(
            Wanted(key), lambda snapshot: erase_people(snapshot, moment, sought, ANSWERS), moment.now
        )

    def user(self, name: str) -> JournalName:
        """A user of commands, as the journal knows them. Raises NotFound."""
        found = self.journal.of_name(name)
        if found is None:
            raise NotFound("user in the journal", name)
        return found

    def erase_user(self, name: JournalName) -> None:
        """Remove what an id in the journal stands for. The entries stay; the user's next action has a name again."""
        self.entries.remove(name)
        self.journal.note("user erased", user=name.id)

    # --- what is searched ---------------------------------------------------------------------

    def _orders(self) -> Iterator[Sequence[Order | DeletedOrder | BrokenRow]]:
        cursor: str | None = ""
        while cursor is not None:
            page: ScanPage[Order | DeletedOrder | BrokenRow] = self._patiently(
                lambda: self.store.scan_orders(cursor or "", limit=_TOGETHER)  # noqa: B023 - it runs at once
            )
            yield page.rows
            cursor = page.cursor

    def _feed_items(self, counted: Progress) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """The current items of the partners' feeds, as pairs of id and text. Open feeds have no personal data."""
        for feed_id in self._patiently(lambda: list(self.feeds.feed_ids())):
            if not partner_of(feed_id):
                continue
            after = ""
            while pointers := self._patiently(
                lambda: self.feeds.pointers(feed_id, after, _TOGETHER)  # noqa: B023 - it runs at once
            ):
                numbers = [each.change_number for each in pointers.values() if each.change_number]
                rows = self._patiently(lambda: self.feeds.stored(feed_id, numbers))  # noqa: B023
                counted("feed items", len(rows))
                yield (
                    feed_id,
                    [
                        (item_id, rows[pointer.change_number].text or "")
                        for item_id, pointer in pointers.items()
                        if pointer.change_number in rows
                    ],
                )
                after = list(pointers)[-1]

    def _parked(self) -> Iterator[ParkedRecord]:
        for stream in STREAMS:
            yield from self.parked.listed(stream)

    def _orders_in(self, parked: ParkedRecord) -> list[Order] | None:
        """The Orders in a parked record; None if it cannot be read."""
        if parked.stream != "orders":
            return []  # keys only
        try:
            return self.records.orders_in(self.parked.content(parked))
        except (Undecodable, UnreadableRow, LookupError, ValueError, TypeError):
            return None

    def _pending(self) -> Iterator[tuple[str, str, str]]:
        """Kind, id and text of all unfinished work, also of what was set aside with an error."""
        for kind in self._patiently(self.pending.kinds):
            if kind.startswith((PARKED, PARKED_CONTENT)):
                continue
            after = ""
            while entries := self._patiently(
                lambda: self.pending.entries(kind, _TOGETHER, after)  # noqa: B023 - it runs at once
            ):
                yield from ((kind, each.id, f"{each.document} {each.error or ''}") for each in entries)
                after = entries[-1].id

    def _patiently(self, read: Callable[[], T]) -> T:
        return self.attempts.retry.run(read, on=(StoreBusy,))


def places_in(order: Order, sought: Traces) -> tuple[str, ...]:
    """As what an Order contains the person; () if it does not."""
    places = []
    if sought.are_of(order.customer):
        places.append("customer")
    if any(sought.are_of(item.attendee) for item in order.items):
        places.append("attendee")
    if not places and sought.are_in(texts_of(order, ANSWERS)):
        places.append("text")
    return tuple(places)


def _own_part(order: Order, sought: Traces) -> Order:
    """The Order as the person may see it: whole for the Customer, otherwise without the other people."""
    if sought.are_of(order.customer):
        return order
    items = tuple(
        item
        if sought.are_of(item.attendee)
        else replace(
            item,
            attendee=None,
            intake_answers=tuple(each for each in item.intake_answers if sought.are_in(each)),
        )
        for item in order.items
    )
    own = tuple(item for item in items if item.attendee is not None)
    return replace(order, customer=None, payment=None, items=own or items)
