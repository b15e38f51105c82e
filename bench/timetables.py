"""Measures how fast slots are made from opening hours, against bare batch writes of the same rows.

`python -m bench.timetables` loads a facility with 100,000 slots through the service that the command uses, books some
of them, and writes copies of the same rows in batches of 25 without any condition. It prints the figures for
docs/scale.md.
"""

import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from datetime import time as clock_time
from typing import Any

from bench.installation import PRICE, Installation, ask, booking, new_uuid, write_rows
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.runtime.administration import Administration
from chalicelib.runtime.system import install
from chalicelib.services.inventory import Outcome
from chalicelib.services.timetables.plans import Plan, Unit, own_id
from chalicelib.services.timetables.publishing import Child
from chalicelib.services.timetables.recurrence import Hours, Opening, Span
from chalicelib.storage.dynamodb import rows
from chalicelib.values import replace
from tests.support import engines
from tests.support.inventory import BADMINTON, PLACE, Bookable, a_seller_document, seller_id

SLOTS = 100_000
BOOKED = 50
_COURTS, _MINUTES, _A_DAY = 20, 30, 32
_THREADS = 4
_BATCH = 25


def facility(slots: int) -> Plan:
    """Twenty courts, open from 06:00 to 22:00, with slots of half an hour."""
    facility_id = own_id(OpportunityType.FacilityUse, seller_id(1), "hall")
    units = tuple(
        Unit(f"{facility_id}/individual-facility-uses/{court}", f"{court}") for court in range(_COURTS)
    )
    return Plan(
        seller_id=seller_id(1),
        id="hall",
        child_type=OpportunityType.Slot,
        parent={
            "@context": "https://openactive.io/",
            "@type": "FacilityUse",
            "@id": facility_id,
            "identifier": "hall",
            "name": "Badminton",
            "url": "https://example.org/hall",
            "facilityType": [BADMINTON],
            "location": PLACE,
            "provider": a_seller_document(1),
            "individualFacilityUse": [
                {"@type": "IndividualFacilityUse", "@id": unit.id, "name": f"Court {unit.key}"}
                for unit in units
            ],
        },
        child={},
        spaces=1,
        zone="Europe/London",
        days_ahead=-(-slots // (_COURTS * _A_DAY)) + 1,
        opening=Opening(
            (Hours(tuple(range(7)), clock_time(6), clock_time(22)),),
            _MINUTES,
            Span(date(2026, 1, 1), date(2099, 1, 1)),
        ),
        units=units,
        prices=(
            {
                "@type": "Offer",
                "identifier": "adult",
                "name": "Adult",
                "price": PRICE,
                "priceCurrency": "GBP",
                "openBookingInAdvance": "https://openactive.io/Required",
            },
        ),
    )


def bare_rate(installation: Installation, sample: Sequence[str], count: int) -> float:
    """Slots a second if two rows for each are written in batches, without a condition."""
    listings = list(installation.store.listings(sample).values())
    tables = installation.store._tables
    client = tables.connection.client
    table = tables.name("inventory")
    made: list[tuple[str, Any]] = []
    for number in range(count):
        listing, capacity = listings[number % len(listings)]
        assert capacity is not None
        copy = replace(
            listing, opportunity=replace(listing.opportunity, id=f"{listing.opportunity.id}/copy{number}")
        )
        details = rows.details_row(copy)
        counters = tables.capacity(
            copy.opportunity.id,
            "capacity",
            spaces_total=1,
            spaces_left=1,
            spaces_leased=0,
            revision=1,
            version=1,
            open_for_booking=True,
        )
        made += [(table, details), (table, counters.serialize())]
    batches = [made[start : start + _BATCH] for start in range(0, len(made), _BATCH)]

    began = time.perf_counter()
    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(lambda batch: write_rows(client, batch), batches))
    return count / (time.perf_counter() - began)


def book_some(children: Sequence[Child], number: int) -> int:
    """How many of a random sample can be booked, as a Broker does."""
    booked = 0
    for child_id, _, _ in random.Random(1).sample(list(children), number):
        slot = Bookable(child_id, f"{child_id}#/offers/adult", "Slot")
        booked += ask(booking(new_uuid(), slot)).status == 201
    return booked


def main(slots: int = SLOTS) -> None:
    with engines.dynoxide() as url:
        installation = Installation("timetables", url)
        installation.create(streams=False)  # Dynoxide scans all records of a stream for each write
        system = installation.system()
        install(system)
        timetable = Administration(system).timetable(seller_id(1))
        plan = facility(slots)
        now = system.now()
        children = [child for child in plan.coming(now, plan.horizon(now)) if child[2].starts_at > now]
        began = time.perf_counter()
        with ThreadPoolExecutor(_THREADS) as threads:
            made = timetable.apply(plan, None, each=threads.map).counts[Outcome.added]
        rate = made / (time.perf_counter() - began)
        print(f"{made:,} slots made, {rate:,.0f} a second", flush=True)
        began = time.perf_counter()
        again = timetable.apply(plan, timetable.entries()["hall"])
        print(f"A second run: {again.outcome}, {time.perf_counter() - began:.2f} s", flush=True)
        print(f"{book_some(children, BOOKED)} of {BOOKED} booked", flush=True)
        bare = bare_rate(installation, [child[0] for child in children[:50]], min(made, 20_000))
        print(f"Bare batch writes: {bare:,.0f} slots a second; ratio {rate / bare:.2f}", flush=True)
        installation.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
