"""What all actions of a Seller share: the actions themselves, a dry run of them, and the journal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from chalicelib.booking.decisions import Change
from chalicelib.services.actors import Actor
from chalicelib.services.desk.belongings import Belongings
from chalicelib.services.journal import Journal
from chalicelib.services.seller_actions import SellerActions
from chalicelib.storage.store import Reclaimed, Store


@dataclass(frozen=True)
class Acting:
    """The actions of one installation, each in the name of an actor. `journal` notes what was done."""

    belongings: Belongings
    actions: SellerActions
    journal: Journal

    def on_orders(self, *, dry_run: bool) -> SellerActions:
        """The actions on single Orders; in a dry run they decide, raise their errors, and write nothing."""
        if not dry_run:
            return self.actions
        attempts = self.actions.attempts
        return replace(self.actions, attempts=replace(attempts, store=_unwritten(attempts.store)))

    def note(self, actor: Actor, what: str, **ids: str) -> None:
        """Note what the actor has done for its Seller."""
        self.journal.note_as(actor, what, **ids)


class _Unwritten:
    """A store that is read, and in which a commit writes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, changes: Sequence[Change]) -> None:
        """Nothing is written: the decision was made on what is stored, and raised its errors."""

    def reclaim(
        self, opportunity_id: str, now: datetime, *, set_aside: bool = False, at_most: int | None = None
    ) -> Reclaimed:
        return Reclaimed(0)


def _unwritten(store: Store) -> Store:
    return cast(Store, _Unwritten(store))
