"""The keys our tokens are signed with: made, handed on, put away. Private halves are sealed by the vault."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, ClassVar

from chalicelib.identity.entries import Key, Lasting, Single
from chalicelib.identity.register import Register
from chalicelib.identity.tokens import Keys, Signer, UnknownKey, make_key
from chalicelib.storage.errors import RecordChanged, StillBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.vault import Vault

# A new key is shown so long before it signs that everyone who keeps a copy of the set has it by then.
SHOWN_BEFORE = timedelta(minutes=15)
ROTATED_AFTER = timedelta(days=90)

# How old a copy of the set may get, and how soon a key that is not in it is looked for again.
_COPY_FOR = timedelta(minutes=15)
_LOOK_AGAIN = timedelta(seconds=10)


@dataclass(frozen=True)
class SigningKey:
    """One key: `public` is a JWK, `sealed` what the vault made of the private half."""

    kid: str
    public: dict[str, Any]
    sealed: str
    made_at: datetime
    signs_from: datetime


@dataclass(frozen=True)
class SigningKeys(Single, Lasting):
    """All keys that may have signed a token that is still good, oldest first. There is one such entry."""

    KIND: ClassVar[str] = "signing-keys"

    keys: tuple[SigningKey, ...] = ()

    @classmethod
    def key_of(cls, name: str = "") -> Key:
        return super().key_of(name)

    @property
    def key(self) -> Key:
        return self.key_of()

    def signing(self, now: datetime) -> SigningKey | None:
        """The newest key that signs already; the first where another's clock was ahead of ours."""
        ready = [key for key in self.keys if key.signs_from <= now]
        return ready[-1] if ready else next(iter(self.keys), None)


# The id of a new key -> its public half as a JWK, its private half as PEM.
MakeKey = Callable[[str], tuple[dict[str, Any], bytes]]


@dataclass
class KeyRing:
    """The signing keys as this process knows them.

    `tokens_live` is the longest that a token lives: so long a key stays after its last signature. To verify
    a token costs a read of the register only where the copy is old or the key is not in it.
    """

    register: Register
    vault: Vault
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    tokens_live: timedelta
    retry: RetryPolicy
    make_key: MakeKey = make_key
    _copy: SigningKeys = field(default_factory=SigningKeys)
    _keys: Keys = field(default_factory=lambda: Keys([]))
    _copied_at: datetime | None = None
    _signer: Signer | None = None

    def verify(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of a token that we have signed. Raises InvalidAuthorizationDetailsError, UnknownKey."""
        self._look(_COPY_FOR)
        try:
            return self._keys.read(token)
        except UnknownKey:
            self._look(_LOOK_AGAIN)
            return self._keys.read(token)

    def public(self) -> list[dict[str, Any]]:
        """What others verify with, as JWKs."""
        self._look(_COPY_FOR)
        if self._copy.signing(self.clock()) is None:
            self._copy = self._add(self._find(), at_once=True)
        return [key.public for key in self._copy.keys]

    def signer(self) -> Signer:
        """The key that signs now. The first is made when it is needed, the next when this one is old."""
        now = self.clock()
        self._look(_COPY_FOR)
        key = self._copy.signing(now) or self._first(now)
        if self._copy.keys[-1].made_at + ROTATED_AFTER < now:
            self._add(self._copy)
        if self._signer is None or self._signer.kid != key.kid:
            self._signer = Signer(key.kid, self.vault.unseal(key.sealed))
        return self._signer

    def rotate(self, *, at_once: bool = False) -> SigningKey:
        """Add a key that signs from now on or, once everyone has it, soon; the present one ends in its time."""
        return self._add(self._find(), at_once=at_once, wanted=True).keys[-1]

    def forget(self, kid: str) -> None:
        """Take a key away: whatever it has signed is refused once copies of the set are renewed."""
        known = self._find()
        kept = tuple(key for key in known.keys if key.kid != kid)
        if len(kept) == len(known.keys):
            raise KeyError(kid)
        self._took(self.register.save(replace(known, keys=kept)))

    def _first(self, now: datetime) -> SigningKey:
        """The key that signs where there was none: ours, or what another process has made at the same moment."""
        made = self._add(self._find(), at_once=True)
        return made.signing(now) or made.keys[-1]

    def _find(self) -> SigningKeys:
        return self.register.find(SigningKeys, SigningKeys.key_of()) or SigningKeys()

    def _look(self, older_than: timedelta) -> None:
        now = self.clock()
        if self._copied_at is None or now - self._copied_at >= older_than:
            self._took(self._find())

    def _took(self, keys: SigningKeys) -> SigningKeys:
        self._copy, self._keys = keys, Keys([key.public for key in keys.keys])
        self._copied_at = self.clock()
        return keys

    def _add(self, known: SigningKeys, *, at_once: bool = False, wanted: bool = False) -> SigningKeys:
        """The set with one more key and without those that nothing good is signed with any more.

        Where others do the same at the same moment, theirs will do; unless a new one is `wanted`. Raises
        StillBusy.
        """
        for _ in self.retry.tries():
            now, kid = self.clock(), self.new_id()
            public, private = self.make_key(kid)
            signs_from = now if at_once else now + SHOWN_BEFORE
            made = SigningKey(kid, public, self.vault.seal(private), now, signs_from)
            kept = [key for key, last in _with_ends(known, made) if last + self.tokens_live > now]
            try:
                return self._took(self.register.save(replace(known, keys=(*kept, made))))
            except RecordChanged:
                known = self._took(self._find())
                if not wanted and known.keys:
                    return known
        raise StillBusy("The signing keys are changed by others all the time.")


def _with_ends(known: SigningKeys, made: SigningKey) -> list[tuple[SigningKey, datetime]]:
    """Each key with the instant at which the next begins to sign."""
    return [(key, after.signs_from) for key, after in pairwise((*known.keys, made))]
