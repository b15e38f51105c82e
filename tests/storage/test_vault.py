"""Sealed content can be read only with the key and for the purpose it was sealed for."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError, HTTPClientError
from moto import mock_aws

from chalicelib.identity.tokens import make_key
from chalicelib.storage import vault
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.vault import KmsVault, OpenVault
from tests.support.engines import REGION


@pytest.fixture
def key_id() -> Iterator[str]:
    with mock_aws():
        kms = boto3.client("kms", region_name=REGION)
        yield kms.create_key()["KeyMetadata"]["Arn"]
        kms.close()


@pytest.fixture
def kms_vault(key_id: str) -> Iterator[KmsVault]:
    made = KmsVault(key_id, REGION)
    yield made
    made._client.close()


def test_a_signing_key_is_sealed_and_comes_back(kms_vault: KmsVault) -> None:
    _, private = make_key("kid")
    sealed = kms_vault.seal(private)
    assert kms_vault.unseal(sealed) == private
    assert kms_vault.seal(private) != sealed


def test_nothing_of_what_is_sealed_can_be_read(kms_vault: KmsVault) -> None:
    assert "unmistakable" not in kms_vault.seal(b"unmistakable" * 20)
    assert OpenVault().unseal(kms_vault.seal(b"unmistakable" * 20)) != b"unmistakable" * 20


def test_another_instance_unseals_what_one_has_sealed(kms_vault: KmsVault, key_id: str) -> None:
    another = KmsVault(key_id, REGION)
    assert another.unseal(kms_vault.seal(b"content")) == b"content"
    another._client.close()


def test_what_was_sealed_for_another_purpose_is_refused(
    kms_vault: KmsVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = kms_vault.seal(b"content")
    monkeypatch.setitem(vault._CONTEXT, "purpose", "something else")
    with pytest.raises(ClientError, match="InvalidCiphertext"):
        kms_vault.unseal(sealed)


def test_what_another_key_has_sealed_is_refused(kms_vault: KmsVault) -> None:
    other = KmsVault(boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["Arn"], REGION)
    with pytest.raises(ClientError):
        kms_vault.unseal(other.seal(b"content"))
    other._client.close()


def test_content_may_be_4096_bytes_and_no_more(kms_vault: KmsVault) -> None:
    assert kms_vault.unseal(kms_vault.seal(b"x" * 4096)) == b"x" * 4096
    with pytest.raises(ClientError, match="ValidationException"):
        kms_vault.seal(b"x" * 4097)


def test_kms_that_does_not_answer_is_busy(kms_vault: KmsVault) -> None:
    sealed = kms_vault.seal(b"content")

    def never(**_: object) -> None:
        raise HTTPClientError(error="nobody there")  # which botocore does not wait for to try again

    kms_vault._client.meta.events.register_first("before-send.kms", never)
    with pytest.raises(StoreBusy):
        kms_vault.unseal(sealed)
    with pytest.raises(StoreBusy):
        kms_vault.seal(b"content")


def test_without_a_key_nothing_is_hidden_and_nothing_lost() -> None:
    assert OpenVault().unseal(OpenVault().seal(b"\x00content")) == b"\x00content"
