"""Converts a harvest to documents and Sellers for the inventory, with a reason for each item left out.

Reads a whole harvest, so that the order of feeds and items does not matter, and keeps it on disk: parents first, then
the children of each together, so that few documents are in memory. Does not use the inventory.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain

from chalicelib.domain.capacity import UNLIMITED
from chalicelib.domain.identifiers import BASE
from chalicelib.domain.limits import MAX_ID_BYTES, MAX_ROW_BYTES
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.opportunity_types import SPACES_TERMS, OpportunityType
from chalicelib.domain.parties import Json, Seller, TaxMode, TaxRate
from chalicelib.importing.bookability import NotBookable, own_reasons
from chalicelib.importing.candidates import (
    CHILDREN,
    PARENTS,
    PARTS,
    WHOLES,
    Candidate,
    Candidates,
    Child,
    orphan,
)
from chalicelib.importing.catalogue import is_described, with_ancestors
from chalicelib.importing.defaults import Defaults
from chalicelib.importing.documents import Documents
from chalicelib.importing.harvest import Harvest
from chalicelib.importing.seller_details import Order, SellerDetails, SellerGap
from chalicelib.importing.spool import Spool, SpooledList, SpooledMap
from chalicelib.importing.stored import Stored, digest_of, digest_of_terms
from chalicelib.importing.unmatched import NamesInUse, Unmatched, categories
from chalicelib.services.inventory import Document
from chalicelib.storage import codec
from chalicelib.values import dataclass, field, fields, replace
from chalicelib.wire.documents import levels, objects, types_of
from chalicelib.wire.jsonld import reference
from chalicelib.wire.opportunities import Published, too_large
from chalicelib.wire.reading import Parent, build_opportunity, with_sub_events
from chalicelib.wire.sellers import seller_document, seller_in
from chalicelib.wire.unreadable import Cause, Unreadable

# Parents with what their children share of them; children are read parent by parent.
_HOLDERS_IN_MEMORY = 64

# Items between two signs of progress.
_ITEMS_AT_ONCE = 200

OnItems = Callable[[str, int, int], None]
"""Called with what is done with the items, how many are done, and of how many."""

# What reading a malformed document may raise, such as one with a string where an object is expected.
_WRONG_SHAPE = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class LeftOut:
    """An item that is not imported, and the reason. `id` is its `@id`, or else the id of the item."""

    kind: str
    id: str
    reason: str
    cause: Cause = Cause.other


@dataclass(frozen=True)
class Terms:
    """What the feeds do not contain: the tax on prices, details of Sellers by their id, and the defaults."""

    tax_rate: TaxRate | None = None
    seller_details: Mapping[str, Json] = field(default_factory=dict)
    own_url: str | None = None
    """The URL of this system, if it is known: ids under it belong to this system."""
    defaults: Defaults = field(default_factory=Defaults)


@dataclass(frozen=True)
class Intake:
    """What is imported; all of it on disk except the Sellers.

    `children` are all that can be booked itself, `parents` the others.
    """

    parents: Documents
    children: Documents
    sellers: tuple[Seller, ...]
    seller_gaps: tuple[SellerGap, ...]
    unmatched: tuple[Unmatched, ...]
    """Entries of the defaults that name what the source does not have. Empty if a feed could not be read."""
    left_out: SpooledList[LeftOut]
    not_bookable: SpooledList[tuple[str, NotBookable]]
    """Why children cannot be booked, whatever their Seller is, with its id."""
    spool: Spool
    not_read_again: int = 0
    """How many of the children are stored as they would be read now."""


class _Refused(Unreadable):
    """The item is not imported; the message is the reason."""


def read_harvest(
    harvest: Harvest,
    source: str,
    terms: Terms,
    spool: Spool | None = None,
    stored: Stored | None = None,
    on_items: OnItems = lambda what, done, total: None,
) -> Intake:
    """Convert all items of the harvest: each is imported, or left out with a reason.

    Children that are `stored` as they would be read now are not read again. Raises DefaultsError if the defaults
    contradict the source.
    """
    return _Reading(source, terms, spool or Spool(), stored, on_items).read(harvest)


@dataclass(frozen=True)
class Lost:
    """Why a parent, or a unit of a facility, is left out."""

    reason: str
    cause: Cause


@dataclass
class _Holder:
    """A document that children inherit from, with all that it inherits itself, and what children share of it.

    `order` is that of the item that the document is from; `is_noted`: what it says of its Seller is noted.
    """

    parent: Parent
    order: Order
    lost: Lost | None = None
    is_noted: bool = False

    @cached_property
    def digest(self) -> str:
        """Of what its children keep of it."""
        return _digest_of_document(self.parent.in_orders)

    @cached_property
    def whole_digest(self) -> str:
        """Of all that its children can be made of."""
        return digest_of(codec.canonical(self.parent.document).decode())


class _Reading:
    def __init__(
        self, source: str, terms: Terms, spool: Spool, stored: Stored | None, on_items: OnItems
    ) -> None:
        self._source = source
        self._on_items = on_items
        self._stored = stored
        self._terms = terms
        self._spool = spool
        self._defaults = terms.defaults.with_sellers(terms.seller_details)
        self._terms_digest = digest_of_terms(self._defaults, terms.tax_rate, terms.own_url)
        self._left_out: SpooledList[LeftOut] = SpooledList(spool, key=lambda each: each.id)
        self._found = Candidates(spool)
        # Why parents, and their units, are left out.
        self._lost: SpooledMap[Lost] = SpooledMap(spool)
        self._unread_types: frozenset[str] = frozenset()
        self._tax_modes: dict[str, str] = {}
        self._details = SellerDetails(self._defaults)
        self._holders: OrderedDict[str, _Holder | None] = OrderedDict()
        # The documents are kept with them, so that no other can get the same identity.
        self._read_sellers: OrderedDict[int, tuple[Json, Seller]] = OrderedDict()

    def read(self, harvest: Harvest) -> Intake:
        self._unread_types = frozenset(failed.kind for failed in harvest.failed)
        names = NamesInUse(self._defaults)
        self._read_candidates(harvest, names)
        self._found.merge_units(lambda candidate, reason: self._lose(candidate, reason, Cause.parent))
        self._tax_modes = self._agreed_tax_modes()
        parents, children = Documents(self._spool, self._source), Documents(self._spool, self._source)
        reasons: SpooledList[tuple[str, NotBookable]] = SpooledList(self._spool)

        def take_child(document: Document) -> None:
            children.append(document)
            opportunity = document.published.opportunity
            reasons.extend((opportunity.seller_id, each) for each in own_reasons(opportunity))

        for candidate in self._found.parents():
            self._report_schedules(candidate)
            if (document := self._taken(self._complete(candidate))) is None:
                continue
            if not document.published.opportunity.type.is_bookable:
                parents.append(document)
            elif candidate.kind not in WHOLES:
                take_child(document)
        self._holders.clear()  # some of them are lost now
        not_read_again, number = 0, self._found.number_of("child")
        sub_events: dict[str, list[str]] = {}
        for done, child in enumerate(self._found.undecoded_children()):
            if done % _ITEMS_AT_ONCE == 0:
                self._on_items("Checking sessions and slots", done, number)
            basis = self._basis(child)
            if kept := self._stored.if_made_of(child.id, basis) if self._stored and basis else None:
                not_read_again += 1
                children.append_kept(kept)
                reasons.extend((kept.seller_id, each) for each in kept.reasons)
            elif (document := self._taken(child.candidate, basis=basis)) is not None:
                take_child(document)
                if whole_id := whole_of(document.published.opportunity):
                    sub_events.setdefault(whole_id, []).append(child.id)
        for candidate in self._found.parents(WHOLES):
            if unread := PARTS[candidate.kind] & self._unread_types:
                # Taken in without its sub-events, it would be sold beside them.
                self._refuse(candidate.kind, candidate.id, _unread_feeds(unread), Cause.parent)
            elif self._lost.get(candidate.id) is None:
                whole = self._taken(
                    self._complete(candidate), named=sub_events.get(candidate.id, ()), children=children
                )
                if whole is not None:
                    take_child(whole)
        self._on_items("Checking sessions and slots", number, number)
        sellers, gaps = self._details.sellers(self._terms.tax_rate)
        unmatched = () if harvest.failed else tuple(names.unmatched())
        return Intake(
            parents, children, sellers, gaps, unmatched, self._left_out, reasons, self._spool, not_read_again
        )

    def _read_candidates(self, harvest: Harvest, names: NamesInUse) -> None:
        total, done = sum(feed.published for feed in harvest.feeds), 0

        def on_item(candidate: Candidate) -> None:
            nonlocal done
            names.see(candidate.document)
            done += 1
            if done % _ITEMS_AT_ONCE == 0:
                self._on_items("Sorting items", done, total)

        self._found.read(harvest, self._defaults, self._refuse, on_item)
        self._on_items("Sorting items", total, total)

    def _refuse(self, kind: str, item_id: str, reason: str, cause: Cause = Cause.other) -> None:
        self._left_out.append(LeftOut(kind, item_id, reason[:300], cause))

    def _report_schedules(self, parent: Candidate) -> None:
        """A series that publishes a schedule, and no session: without an `@id` of each session nothing can be booked."""
        is_sold = OpportunityType(parent.kind).is_bookable
        if is_sold or "eventSchedule" not in parent.document or self._found.has_children(parent.id):
            return
        for schedule in objects(parent.document["eventSchedule"]):
            kind = " ".join(types_of(schedule)) or "Schedule"
            reason = "it is a schedule, and not sessions that each have an @id"
            self._refuse(kind, f"in {parent.id}", reason, Cause.schedule)

    # --- what children inherit from --------------------------------------------------------

    def _complete(self, candidate: Candidate) -> Candidate:
        return replace(candidate, document=self._with_ancestors(candidate.document))

    def _with_ancestors(self, document: Json) -> Json:
        return self._defaults.with_seller(with_ancestors(document, self._found.ancestor))

    def _holder(self, holder_id: str) -> _Holder | None:
        """The parent, or the unit of a facility, with this id."""
        if holder_id in self._holders:
            self._holders.move_to_end(holder_id)
            return self._holders[holder_id]
        document, order = self._holding(holder_id)
        lost = self._lost.get(holder_id)
        holder = None if document is None and lost is None else _Holder(Parent(document or {}), order, lost)
        self._holders[holder_id] = holder
        if len(self._holders) > _HOLDERS_IN_MEMORY:
            self._holders.popitem(last=False)
        return holder

    def _holding(self, holder_id: str) -> tuple[Json | None, Order]:
        """The document of a holder, and the order of the item that it is from."""
        found = self._found.get(holder_id)
        if found is not None and found.kind in PARENTS:
            return self._with_ancestors(found.document), found.order
        for facility in self._found.facilities_of(holder_id):
            for unit in objects(facility.document.get("individualFacilityUse")):
                if unit.get("@id") == holder_id:
                    whole = self._with_ancestors(facility.document)
                    return {**unit, "aggregateFacilityUse": whole}, facility.order
        return None, (0, "", "")

    # --- reading ---------------------------------------------------------------------------

    def _taken(
        self,
        candidate: Candidate,
        *,
        basis: str | None = None,
        named: Sequence[str] = (),
        children: Documents | None = None,
    ) -> Document | None:
        """The document of an item, or None if it is lost; of a course with the `children` that are its sub-events.

        `named` are those that name it as their parent.
        """
        try:
            published, holder = self._published(candidate)
            if children is not None:
                listed = self._listed_in(published.opportunity, children)
                published = with_sub_events(published, list({*named, *listed}))
            return self._document(published, holder, basis)
        except Unreadable as refused:
            self._lose(candidate, str(refused), refused.cause)
        except _WRONG_SHAPE:
            reason = "a property does not have the structure that the specification requires"
            self._lose(candidate, reason, Cause.shape)
        return None

    def _listed_in(self, whole: Opportunity, children: Documents) -> Iterator[str]:
        """The sub-events that it lists and that are sold singly, also where they do not name it as their parent."""
        listed = whole.document.get("subEvent") or ()
        for each in listed if isinstance(listed, list) else [listed]:
            sub_event = reference(each)
            if sub_event is None or sub_event == whole.id or children.digest(sub_event) is None:
                continue
            document = children.find(sub_event)
            opportunity = document.published.opportunity if document else self._kept(sub_event)
            if opportunity is not None and _is_sold(opportunity):
                yield sub_event

    def _kept(self, opportunity_id: str) -> Opportunity | None:
        return self._stored.opportunity(opportunity_id) if self._stored else None

    def _document(self, published: Published, holder: _Holder | None, basis: str | None) -> Document:
        """The document with what is kept of it, serialised once. Raises Unreadable."""
        text = codec.to_json(published.opportunity)
        size = len(text.encode())
        if reason := too_large(published.opportunity, size):
            raise Unreadable(reason, Cause.size)
        if size > MAX_ROW_BYTES:
            raise _Refused(
                f"it needs more than the {MAX_ROW_BYTES // 1000} KB that can be stored for one item",
                Cause.size,
            )
        digest = _digest(published, holder.digest if holder else "")
        if basis is not None:
            digest = f"{digest}.{basis}"
        return Document(published, self._source, known_digest=digest, packed=codec.pack_json(text))

    def _basis(self, child: Child) -> str | None:
        """A digest of all that a child is made of; None if it is more than its own document, its parent and the terms."""
        if not child.is_silent or child.held_by is None:
            return None
        holder = self._holder(child.held_by)
        if holder is None or holder.lost is not None or WHOLES.intersection(types_of(holder.parent.document)):
            return None
        try:
            organizer, seller = holder.parent.organizer, holder.parent.seller
        except (Unreadable, *_WRONG_SHAPE):
            return None
        agreed = self._tax_modes.get(seller.id, seller.tax_mode)
        if seller.tax_mode == agreed:
            self._note(seller.id, organizer, holder, child.held_by)
        return digest_of(child.digest, holder.whole_digest, self._terms_digest, agreed)

    def _lose(self, candidate: Candidate, reason: str, cause: Cause) -> None:
        self._refuse(candidate.kind, candidate.id, reason, cause)
        if candidate.kind in CHILDREN:
            return
        lost = Lost(reason, cause)
        self._lost[candidate.id] = lost
        for unit in objects(candidate.document.get("individualFacilityUse")):
            self._lost.setdefault(str(reference(unit)), lost)

    def _published(self, candidate: Candidate) -> tuple[Published, _Holder | None]:
        """What the candidate is with all that it inherits, and from whom."""
        defaults, kind = self._defaults, OpportunityType(candidate.kind)
        holder = self._parent_of(candidate)
        if holder is None:
            candidate = replace(candidate, document=defaults.with_seller(candidate.document))
        parent = holder.parent if holder else None
        sources = [candidate.document, *parent.levels] if parent else list(levels(candidate.document))
        document = defaults.completed_opportunity(
            candidate.document, kind, has_offers=any("offers" in source for source in sources)
        )
        published = build_opportunity(
            document,
            parent,
            attendee_details_required=defaults.attendee_details,
            intake_form=defaults.intake_form,
            is_embedded=candidate.is_embedded,
            no_limit=defaults.no_limit,
        )
        published = self._with_details(published, sources)
        organizer = parent.organizer if parent and not candidate.states_seller else seller_document(sources)
        seller_id = published.opportunity.seller_id
        own_url = self._terms.own_url
        is_ours = seller_id.startswith(BASE) or (own_url and seller_id.startswith(f"{own_url}/"))
        if is_ours or len(seller_id.encode()) > MAX_ID_BYTES:
            raise _Refused("the @id of its organizer or provider cannot be used here", Cause.seller_id)
        tax_mode = self._seller_in(organizer).tax_mode
        if tax_mode != self._tax_modes.get(seller_id, tax_mode):  # TAX-04
            raise _Refused(
                "its organizer or provider states another taxMode than with most of its items", Cause.tax_mode
            )
        if candidate.states_seller or holder is None:
            self._details.note(seller_id, organizer, candidate.order, candidate.id)
        else:
            self._note(seller_id, organizer, holder, candidate.held_by or candidate.id)
        return published, holder

    def _note(self, seller_id: str, organizer: Json, holder: _Holder, item_id: str) -> None:
        """Note what a document says of the Seller of its children, once for all of them."""
        if not holder.is_noted:
            self._details.note(seller_id, organizer, holder.order, item_id)
            holder.is_noted = True

    def _seller_in(self, organizer: Json) -> Seller:
        if id(organizer) not in self._read_sellers:
            self._read_sellers[id(organizer)] = organizer, seller_in(organizer)
            if len(self._read_sellers) > _HOLDERS_IN_MEMORY:
                self._read_sellers.popitem(last=False)
        return self._read_sellers[id(organizer)][1]

    def _with_details(self, published: Published, sources: list[Json]) -> Published:
        """The Opportunity with the tax of its Offers, and only the details of attendees that an Offer requires."""
        opportunity = published.opportunity
        if not (opportunity.asks_details or self._defaults.tax_rules):
            return published
        required = {requirement for offer in opportunity.offers for requirement in offer.requirements}
        details = opportunity.attendee_details_required if "OpenBookingAttendeeDetails" in required else ()
        form = opportunity.intake_form if "OpenBookingIntakeForm" in required else ()
        offers = opportunity.offers
        if self._defaults.tax_rules:
            named = [category for source in sources for category in categories(source)]
            offers = tuple(
                replace(offer, tax_rate=self._defaults.tax_for(offer.document, named)) for offer in offers
            )
        opportunity = replace(opportunity, offers=offers, attendee_details_required=details, intake_form=form)
        return replace(published, opportunity=opportunity)

    def _parent_of(self, candidate: Candidate) -> _Holder | None:
        """The parent from its feed, or else as embedded in the child. Raises _Refused if there is none."""
        traits = OpportunityType(candidate.kind).traits
        term = traits.parent_term
        value = candidate.document.get(term) if term else None
        if term is None or (value is None and traits.may_stand_alone):
            return None
        parent_id = reference(value)
        holder = self._holder(parent_id) if parent_id else None
        if holder is not None and holder.lost is not None:
            # The cause is that of the parent, so that the advice helps.
            raise _Refused(f"its {term} is left out: {holder.lost.reason}", holder.lost.cause)
        if holder is not None:
            return holder
        series = self._found.ancestor(parent_id) if parent_id and traits.may_stand_alone else None
        if series is not None:  # an Event may belong to an EventSeries directly
            return _Holder(Parent(self._with_ancestors(series)), candidate.order)
        if not isinstance(value, dict) or not is_described(value):
            unread = self._unread_types.intersection(_parent_types(traits.parents))
            if unread:
                raise _Refused(_unread_feeds(unread), Cause.parent)
            raise _Refused(orphan(term, parent_id), Cause.parent)
        facility_use = value.get("aggregateFacilityUse")
        if facility_use is not None and not (isinstance(facility_use, dict) and len(facility_use) > 2):
            facility_id = reference(facility_use)
            facility = self._holder(facility_id) if facility_id else None
            if facility is None or facility.lost is not None:
                raise _Refused(orphan("aggregateFacilityUse", facility_id), Cause.parent)
        return _Holder(
            Parent(self._defaults.with_seller(with_ancestors(value, self._known))), candidate.order
        )

    def _known(self, document_id: str) -> Json | None:
        holder = self._holder(document_id) if document_id else None
        return holder.parent.document or None if holder else None

    # --- Sellers ---------------------------------------------------------------------------

    def _agreed_tax_modes(self) -> dict[str, str]:
        """The tax mode of each Seller (TAX-04 allows only one): the mode that most of its items have."""
        votes: dict[str, Counter[str]] = {}

        def vote(document: Json, number: int) -> None:
            try:
                seller = self._seller_in(seller_document(levels(self._defaults.with_seller(document))))
            except (Unreadable, *_WRONG_SHAPE):
                return  # reported when the item is read
            votes.setdefault(seller.id, Counter())[seller.tax_mode] += number

        found = self._found
        for parent in found.parents():
            whole = self._with_ancestors(parent.document)
            vote(whole, 1 + found.silent_children_of(parent.id))
            for unit in objects(whole.get("individualFacilityUse")):
                if number := found.silent_children_of(str(reference(unit))):
                    vote({**unit, "aggregateFacilityUse": whole}, number)
        for child in chain(found.children(silent=False), found.of_embedded_parents()):
            vote(child.document, 1)
        modes = sorted(TaxMode)
        return {
            seller_id: max(modes, key=lambda mode: (counted[mode], mode))
            for seller_id, counted in votes.items()
        }


def _unread_feeds(kinds: Iterable[str]) -> str:
    """Why what depends on these feeds is left out."""
    return f"the feed of {' and '.join(sorted(kinds))} could not be read"


def whole_of(opportunity: Opportunity) -> str | None:
    """The course or HeadlineEvent that takes a space of it, because it is sold singly, too (decision 26)."""
    parent = opportunity.parent or {}
    return reference(parent) if _is_sold(opportunity) and WHOLES.intersection(types_of(parent)) else None


def _is_sold(opportunity: Opportunity) -> bool:
    return bool(opportunity.offers or opportunity.unusable_offers)


def _digest(published: Published, of_parent: str) -> str:
    """A digest of what the inventory stores, to decide whether a document has changed.

    It is less than what was read: a parent's other children, or the telephone number of its Seller, do
    not change this child, and a new revision would refuse Brokers that are booking it now.
    """
    opportunity = published.opportunity
    names = (each.name for each in fields(opportunity))
    others = {name: getattr(opportunity, name) for name in names if name not in ("document", "parent")}
    limit = "unlimited" if published.spaces == UNLIMITED else ""
    kept = codec.canonical(others).decode()
    return digest_of(_digest_of_document(opportunity.document), of_parent, kept, limit)


def _digest_of_document(document: Json) -> str:
    """Without the number of spaces: our counter applies."""
    content = {term: value for term, value in document.items() if term not in SPACES_TERMS}
    return digest_of(codec.canonical(content).decode())


def _parent_types(kinds: Iterable[OpportunityType]) -> Iterator[str]:
    for kind in kinds:
        yield kind.value
        if kind.traits.units:
            yield kind.traits.units
