"""Sealing what must not be readable in a table: by AWS KMS, or not at all on a developer's machine."""

from base64 import b64decode, b64encode
from functools import cached_property
from typing import Any, Protocol

from chalicelib.storage.dynamodb.calls import passing_faults

# Bound into every seal: what was sealed for one purpose cannot be opened for another.
_CONTEXT = {"purpose": "openbooking signing key"}


class Vault(Protocol):
    """Turns bytes into text that only this installation can turn back. Every method may raise StoreBusy."""

    def seal(self, content: bytes) -> str:
        """At most 4096 bytes."""

    def unseal(self, sealed: str) -> bytes: ...


class KmsVault:
    """By a key that never leaves AWS KMS; who may use it is up to its policy, and each use is in CloudTrail."""

    def __init__(self, key_id: str, region: str) -> None:
        self._key_id, self._region = key_id, region

    @cached_property
    def _client(self) -> Any:
        # Only who signs needs it: half a second of a cold start.
        from botocore.config import Config
        from botocore.session import get_session

        # As with the tables: a call that hangs must leave time to try again.
        config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2})
        return get_session().create_client("kms", region_name=self._region, config=config)

    def seal(self, content: bytes) -> str:
        with passing_faults("the KMS key that signing keys are sealed with"):
            answer = self._client.encrypt(KeyId=self._key_id, Plaintext=content, EncryptionContext=_CONTEXT)
        return b64encode(answer["CiphertextBlob"]).decode()

    def unseal(self, sealed: str) -> bytes:
        with passing_faults("the KMS key that signing keys are sealed with"):
            answer = self._client.decrypt(
                KeyId=self._key_id, CiphertextBlob=b64decode(sealed), EncryptionContext=_CONTEXT
            )
        content: bytes = answer["Plaintext"]
        return content


class OpenVault:
    """No seal at all: for a machine on which there is nothing to protect."""

    def seal(self, content: bytes) -> str:
        return b64encode(content).decode()

    def unseal(self, sealed: str) -> bytes:
        return b64decode(sealed)
