"""Digests that only this installation can make, so that guesses cannot be tested against what is stored."""

import hashlib
import hmac
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

from chalicelib.identity.entries import Key, Lasting, Single
from chalicelib.identity.register import Register
from chalicelib.storage.errors import RecordChanged, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass


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

    def digest(self, text: str) -> str:
        """Raises StillBusy."""
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    @cached_property
    def _key(self) -> bytes:
        entry = self.retry.run(self._read_or_make, on=(RecordChanged, StoreBusy))
        return bytes.fromhex(entry.secret)

    def _read_or_make(self) -> FingerprintKey:
        found = self.register.find(FingerprintKey, FingerprintKey.key_of())
        return found or self.register.save(FingerprintKey(self.new_secret()))
