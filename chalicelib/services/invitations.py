"""Invitations: initial access tokens with which a booking partner registers itself (RFC 7591)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chalicelib.domain.parties import Json
from chalicelib.identity.entries import Invitation
from chalicelib.identity.hashing import digest, new_secret
from chalicelib.services.entries import SHOWN_OF_A_DIGEST, Entries
from chalicelib.services.journal import Journal
from chalicelib.values import dataclass


def new_invitation(
    token: str, note: str, now: datetime, *, live: timedelta | None = None, uses: int | None = 1
) -> Invitation:
    """An invitation that is not saved yet. Without `live` it does not expire; without `uses` it has no limit of uses."""
    return Invitation(digest(token), note, now, now + live if live is not None else None, uses)


@dataclass(frozen=True)
class Invitations:
    """The invitations of one installation."""

    entries: Entries
    journal: Journal

    def add(self, *, note: str = "", uses: int = 1, days: int = 14) -> str:
        """Create an initial access token: its holder may register as a partner."""
        token = new_secret()
        made = new_invitation(token, note, self.entries.clock(), live=timedelta(days=days), uses=uses)
        self.entries.add(made, taken="This invitation exists already.")
        self.journal.note("invitation made", invitation=made.digest[:SHOWN_OF_A_DIGEST])
        return token

    def listed(self) -> Sequence[Json]:
        """Invitations that can still be used, as rows to show."""
        return [
            {
                "invitation": each.digest[:SHOWN_OF_A_DIGEST],
                "note": each.note,
                "uses_left": "any" if each.uses_left is None else each.uses_left,
                "made": each.made_at,
                "ends": each.ends_at,
            }
            for each in sorted(self.entries.all_live(Invitation), key=lambda each: each.made_at)
            if each.uses_left != 0
        ]

    def withdraw(self, prefix: str) -> Invitation:
        """Withdraw an invitation. Partners that have registered with it stay. Raises InvalidValue."""
        invitation = self.entries.by_prefix(Invitation, prefix, "invitation")
        self.entries.remove(invitation)
        self.journal.note("invitation withdrawn", invitation=invitation.digest[:SHOWN_OF_A_DIGEST])
        return invitation
