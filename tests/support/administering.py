"""An installation in memory that an operator works on, and the callers who see what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chalicelib.runtime.administration import Administration
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.identities import Record
from chalicelib.storage.pending import PendingWork
from tests.support.memory import MemoryIdentities
from tests.support.oauth import CALLBACK, Client
from tests.support.world import API, Answer, Bookable, Broker, World

SECRET = "sturdy umbrella kettle"
FEED = "openactive-ordersfeed"
BOOKING = "openactive-openbooking"


class Identities(MemoryIdentities):
    """Others may come before a write, or an answer be lost after it: once for each entry."""

    def __init__(self) -> None:
        super().__init__()
        self.before_saves: list[Callable[[], None]] = []
        self.after_saves: list[Callable[[], None]] = []

    def save(self, record: Record, *others: Record, pending: Sequence[PendingWork] = ()) -> Record:
        if self.before_saves:
            self.before_saves.pop(0)()
        saved = super().save(record, *others, pending=pending)
        if self.after_saves:
            self.after_saves.pop(0)()
        return saved


def busy() -> None:
    raise StoreBusy("lost")


def a_partner(desk: Administration, world: World, **options: Any) -> Client:
    partner, secret = desk.partners.add("Broker Ltd", redirect_uris=[CALLBACK], **options)
    return Client(world, partner.id, secret)


def a_token(client: Client, scope: str = FEED) -> Answer:
    return client.tokens(grant_type="client_credentials", scope=scope)


def quote(world: World, yoga: Bookable, **headers: str) -> int:
    """C1 with these credentials alone; its status."""
    broker = Broker(world, partner=None, seller=None)
    path = f"{API}/order-quote-templates/10000000-0000-4000-8000-000000000001"
    body = broker.body("OrderQuote", yoga.item())
    return broker.send(
        "PUT", path, body, {name.replace("_", "-"): text for name, text in headers.items()}
    ).status


def feed(world: World, **headers: str) -> int:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Broker(world, partner=None, seller=None).send("GET", f"{API}/orders-rpde", headers=named).status


def done(desk: Administration) -> list[str]:
    return [entry["what"] for entry in desk.journal.listed()]
