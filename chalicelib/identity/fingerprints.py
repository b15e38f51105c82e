"""Digests that only this installation can make, so that guesses cannot be tested against what is stored."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from chalicelib.identity.entries import Key, Lasting, Single
from chalicelib.identity.register import Register
from chalicelib.storage.errors import RecordChanged, StoreBusy
from chalicelib.storage.retry import RetryPolicy


@dataclass(frozen=True)
class FingerprintKey(Single, Lasting):
    """The key, as hexadecimal digits. There is one such entry, and it never changes."""

    KIND: ClassVar[str] = "fingerprint-key"

    secret: str

    @classmethod
    def key_of(cls, name: str = "") -> Key:
        return super().key_of(name)

    @property
    def key(self) -> Key:
        return self.key_of()


@dataclass
class Fingerprints:
    """Makes keyed digests. The key is made when it is first needed, and read once by each process."""

    register: Register
    retry: RetryPolicy
    new_secret: Callable[[], str]
    _secret: str | None = field(default=None, repr=False)

    def digest(self, text: str) -> str:
        """Raises StillBusy."""
        if self._secret is None:
            self._secret = self.retry.run(self._read_or_make, on=(RecordChanged, StoreBusy)).secret
        return hmac.new(bytes.fromhex(self._secret), text.encode(), hashlib.sha256).hexdigest()

    def _read_or_make(self) -> FingerprintKey:
        found = self.register.find(FingerprintKey, FingerprintKey.key_of())
        return found or self.register.save(FingerprintKey(self.new_secret()))
