"""Encrypt secrets in tables: with AWS KMS, or not at all on a developer's machine."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol

from chalicelib.storage.dynamodb.calls import passing_faults

# The encryption context: a text encrypted for one purpose cannot be decrypted for another.
_CONTEXT = {"purpose": "openbooking signing key"}


class Vault(Protocol):
    """Encrypts bytes as text that only this installation can decrypt. Every method may raise StoreBusy."""

    def seal(self, content: bytes) -> str:
        """At most 4096 bytes."""

    def unseal(self, sealed: str) -> bytes: ...


class KmsVault:
    """Uses a key that never leaves AWS KMS. Its policy controls its use; CloudTrail records each use."""

    def __init__(
        self, key_id: str, region: str, on_failure: Callable[[BaseException], None] = lambda error: None
    ) -> None:
        """`on_failure` is called with every error of KMS, before it is raised."""
        self._key_id, self._region, self._on_failure = key_id, region, on_failure

    @cached_property
    def _client(self) -> Any:
        # Imported only for signing: it takes half a second of a cold start.
        from botocore.config import Config
        from botocore.session import get_session

        # As for the tables: a call that hangs must leave time to try again.
        config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2})
        return get_session().create_client("kms", region_name=self._region, config=config)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._on_failure(error)
            raise

    def seal(self, content: bytes) -> str:
        with self._reported(), passing_faults("the KMS key that signing keys are sealed with"):
            answer = self._client.encrypt(KeyId=self._key_id, Plaintext=content, EncryptionContext=_CONTEXT)
        return b64encode(answer["CiphertextBlob"]).decode()

    def unseal(self, sealed: str) -> bytes:
        with self._reported(), passing_faults("the KMS key that signing keys are sealed with"):
            answer = self._client.decrypt(
                KeyId=self._key_id, CiphertextBlob=b64decode(sealed), EncryptionContext=_CONTEXT
            )
        content: bytes = answer["Plaintext"]
        return content


class OpenVault:
    """No encryption: for a machine on which there is nothing to protect."""

    def seal(self, content: bytes) -> str:
        return b64encode(content).decode()

    def unseal(self, sealed: str) -> bytes:
        return b64decode(sealed)
