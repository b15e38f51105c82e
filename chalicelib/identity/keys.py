"""The keys that sign our tokens: creation, publication, rotation, removal. The vault seals private keys."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, ClassVar

from chalicelib.identity.entries import Key, Lasting, Single
from chalicelib.identity.register import Register
from chalicelib.identity.tokens import Keys, Signer, UnknownKey, make_key
from chalicelib.storage.errors import RecordChanged, StillBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.vault import Vault
from chalicelib.values import dataclass, field, replace

# A new key is published this long before it signs, so that all cached copies of the key set contain it by then.
SHOWN_BEFORE = timedelta(minutes=15)
ROTATED_AFTER = timedelta(days=90)

# The maximum age of a cached key set, and the minimum time between reads for an unknown key.
_COPY_FOR = timedelta(minutes=15)
_LOOK_AGAIN = timedelta(seconds=10)


@dataclass(frozen=True)
class SigningKey:
    """One key: `public` is a JWK, `sealed` is the private key as sealed by the vault."""

    kid: str
    public: dict[str, Any]
    sealed: str
    made_at: datetime
    signs_from: datetime


@dataclass(frozen=True)
class SigningKeys(Single, Lasting):
    """All keys that may have signed a token that is still valid, oldest first. There is one such entry."""

    KIND: ClassVar[str] = "signing-keys"

    keys: tuple[SigningKey, ...] = ()

    @classmethod
    def key_of(cls, name: str = "") -> Key:
        return super().key_of(name)

    @property
    def key(self) -> Key:
        return self.key_of()

    def signing(self, now: datetime) -> SigningKey | None:
        """The newest key that may sign now; the first key if another instance's clock was ahead of ours."""
        ready = [key for key in self.keys if key.signs_from <= now]
        return ready[-1] if ready else next(iter(self.keys), None)


# The id of a new key -> its public half as a JWK, its private half as PEM.
MakeKey = Callable[[str], tuple[dict[str, Any], bytes]]


@dataclass
class KeyRing:
    """The signing keys as this process knows them.

    `tokens_live` is the longest lifetime of a token: a key is kept this long after its last signature. Verifying
    a token reads the register only if the cached copy is old or does not contain the key.
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
        """The public keys, as JWKs."""
        self._look(_COPY_FOR)
        if self._copy.signing(self.clock()) is None:
            self._copy = self._add(self._find(), at_once=True)
        return [key.public for key in self._copy.keys]

    def signer(self) -> Signer:
        """The key that signs now. Creates the first key when it is needed, and the next one when this one is old."""
        now = self.clock()
        self._look(_COPY_FOR)
        key = self._copy.signing(now) or self._first(now)
        if self._copy.keys[-1].made_at + ROTATED_AFTER < now:
            self._add(self._copy)
        if self._signer is None or self._signer.kid != key.kid:
            self._signer = Signer(key.kid, self.vault.unseal(key.sealed))
        return self._signer

    def rotate(self, *, at_once: bool = False) -> SigningKey:
        """Add a key. It signs immediately if `at_once`, otherwise once all cached copies contain it."""
        return self._add(self._find(), at_once=at_once, wanted=True).keys[-1]

    def forget(self, kid: str) -> None:
        """Remove a key. Tokens that it has signed are refused once all copies are renewed. Raises KeyError."""
        known = self._find()
        kept = tuple(key for key in known.keys if key.kid != kid)
        if len(kept) == len(known.keys):
            raise KeyError(kid)
        self._took(self.register.save(replace(known, keys=kept)))

    def _first(self, now: datetime) -> SigningKey:
        """The first key: a new one, or one that another process has created at the same moment."""
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
        """The set with a new key, without those that have signed no token that is still valid.

        If another process adds a key at the same moment, that key is used, unless a new one is `wanted`.
        Raises StillBusy.
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
        raise StillBusy("Other processes keep changing the signing keys.")


def _with_ends(known: SigningKeys, made: SigningKey) -> list[tuple[SigningKey, datetime]]:
    """Each key with the instant at which the next begins to sign."""
    return [(key, after.signs_from) for key, after in pairwise((*known.keys, made))]
