"""The OpenID provider as a booking partner meets it: discovery, registration, tokens, revocation."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.identity.callers import BearerTokens
from chalicelib.identity.entries import Authorisation, Grant, Invitation, Partner, SellerStanding
from chalicelib.identity.hashing import digest
from chalicelib.identity.issuers import ExternalTokens
from chalicelib.identity.scopes import SCOPES
from chalicelib.runtime.system import System, install
from chalicelib.values import replace
from tests.support.oauth import (
    CALLBACK,
    CHALLENGE,
    ISSUER,
    SCOPE,
    VERIFIER,
    Browser,
    Client,
    add_partner,
    claims,
    invite,
    odd_text,
    open_provider,
    post_form,
    register,
)
from tests.support.tokens import Provider, parts
from tests.support.world import API, BASE_URL, Answer, Broker, World, outer, seller_id

SELLER = seller_id(1)


@pytest.fixture
def system(world: World) -> System:
    return open_provider(world)


@pytest.fixture
def client(system: System, world: World) -> Client:
    return Client.registered(world)


def get(world: World, path: str, **headers: str) -> Answer:
    return Broker(world, None, None).send("GET", path, headers={"Content-Type": None, **headers})


def code_for(client: Client, **parameters: Any) -> str:
    """A code that Seller 1 has agreed to."""
    browser = Browser(client.world)
    browser.begin(client, **parameters)
    answer = browser.sign_in()
    if answer.status == 200:
        answer = browser.decide("allow")
    return browser.code(answer)


def change(system: System, kind: type[Any], key: tuple[str, str], **changes: Any) -> None:
    found = system.register.find(kind, key)
    system.register.save(replace(found, **changes))


def assert_refused(answer: Answer, error: str, status: int = 400) -> None:
    """RFC 6749, section 5.2: and nothing that a cache may keep."""
    assert (answer.status, answer.json["error"]) == (status, error), answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert str(answer.media_type).startswith("application/json")
    assert "access_token" not in answer.json
    if status == 401:
        assert "WWW-Authenticate" in answer.headers


class TestDiscovery:
    def test_document_says_where_everything_is(self, world: World, system: System) -> None:
        """OpenID Connect Discovery 1.0, sections 3 and 4."""
        answer = get(world, "/auth/.well-known/openid-configuration")
        document = answer.json
        assert answer.status == 200 and str(answer.media_type).startswith("application/json")
        assert document["issuer"] == ISSUER
        for endpoint in ("authorization", "token", "registration", "revocation"):
            assert document[f"{endpoint}_endpoint"].startswith(f"{BASE_URL}/auth/")
        assert document["jwks_uri"] == f"{ISSUER}/jwks"
        assert {"openid", "openactive-openbooking", "openactive-ordersfeed"} <= set(
            document["scopes_supported"]
        )
        assert document["response_types_supported"] == ["code"]
        assert document["code_challenge_methods_supported"] == ["S256"]
        assert document["id_token_signing_alg_values_supported"] == ["RS256"]
        assert document["subject_types_supported"] == ["public"]
        assert "none" not in str(document)
        assert b"base.invalid" not in answer.body

    def test_what_it_names_is_there(self, world: World, system: System) -> None:
        document = get(world, "/auth/.well-known/openid-configuration").json
        for name, url in document.items():
            if name.endswith(("_endpoint", "_uri")):
                assert get(world, url.removeprefix(BASE_URL)).status in (200, 400, 405), name

    def test_issuer_is_that_of_the_tokens(self, world: World, client: Client) -> None:
        tokens = client.authorised()
        document = get(world, "/auth/.well-known/openid-configuration").json
        assert claims(tokens["access_token"])["iss"] == document["issuer"]
        assert claims(tokens["id_token"])["iss"] == document["issuer"]

    def test_follows_the_base_url_of_the_settings(self, world: World, system: System) -> None:
        world.set(base_url="https://api.example/live")
        document = get(world, "/auth/.well-known/openid-configuration").json
        assert document["token_endpoint"] == "https://api.example/live/auth/token"

    def test_keys_verify_the_tokens_and_are_public(self, world: World, client: Client) -> None:
        from joserfc import jwt
        from joserfc.jwk import KeySet

        tokens = client.authorised()
        answer = get(world, "/auth/jwks")
        assert answer.headers["Cache-Control"] == "public, max-age=900"
        for key in answer.json["keys"]:
            assert set(key) == {"kty", "kid", "use", "alg", "n", "e"}
        for token in (tokens["access_token"], tokens["id_token"]):
            assert jwt.decode(token, KeySet.import_key_set(answer.json), algorithms=["RS256"]).claims

    @pytest.mark.parametrize(
        "path", ["/.well-known/openid-configuration", "/jwks", "/authorize", "/token", "/register", "/revoke"]
    )
    def test_without_a_provider_of_its_own_there_is_none(self, world: World, path: str) -> None:
        verb = "POST" if path in ("/token", "/register", "/revoke") else "GET"
        answer = Broker(world).send(
            verb, f"/auth{path}", b"{}" if verb == "POST" else None, {"Content-Type": "application/json"}
        )
        assert (answer.status, answer.json["@type"]) == (404, "UnknownOrIncorrectEndpointError")


class TestRegistration:
    """RFC 7591."""

    def test_answer_has_what_was_registered(self, world: World, system: System) -> None:
        answer = register(world, invite(system))
        assert answer.status == 201 and answer.headers["Cache-Control"] == "no-store"
        document = answer.json
        assert len(document.pop("client_secret")) >= 40
        assert document.pop("client_id")
        assert document == {
            "client_name": "Broker Ltd",
            "client_uri": "https://broker.example",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "response_types": ["code"],
            "scope": " ".join(SCOPES),  # without `profile`, of which we know nothing
            "token_endpoint_auth_method": "client_secret_basic",
            "client_id_issued_at": int(world.clock.now.timestamp()),
            "client_secret_expires_at": 0,
        }

    def test_secret_is_kept_by_its_digest(self, world: World, client: Client) -> None:
        [partner] = world.system.register.all(Partner)
        assert client.secret not in repr(partner)
        assert partner.secrets[0].digest == digest(client.secret)

    @pytest.mark.parametrize("token", [None, "", "unknown", "x" * 5000, "é"])
    def test_without_an_invitation_nobody_registers(
        self, world: World, system: System, token: str | None
    ) -> None:
        assert_refused(register(world, token), "invalid_token", 401)
        assert list(system.register.all(Partner)) == []

    def test_invitation_is_used_up(self, world: World, system: System) -> None:
        token = invite(system)
        assert register(world, token).status == 201
        assert_refused(register(world, token), "invalid_token", 401)

    def test_invitation_is_not_used_up_by_a_mistake(self, world: World, system: System) -> None:
        token = invite(system)
        assert_refused(register(world, token, client_name=...), "invalid_client_metadata")
        assert register(world, token).status == 201

    def test_invitation_ends(self, world: World, system: System) -> None:
        now = world.clock.now
        system.register.save(Invitation(digest("i"), "", now, now + timedelta(days=1), None))
        assert register(world, "i").status == 201
        world.clock.advance(days=1)
        assert_refused(register(world, "i"), "invalid_token", 401)

    @pytest.mark.parametrize(
        "metadata",
        [
            {"client_name": ...},
            {"client_name": ""},
            {"client_name": 7},
            {"client_name": None},
            {"client_name": "x" * 400_000},
            {"client_name": "\ud800"},
            {"redirect_uris": ...},
            {"redirect_uris": []},
            {"redirect_uris": CALLBACK},
            {"redirect_uris": [7]},
            {"redirect_uris": [None]},
            {"redirect_uris": ["http://broker.example/cb"]},
            {"redirect_uris": ["javascript:alert(1)"]},
            {"redirect_uris": ["data:text/html,x"]},
            {"redirect_uris": ["com.example.app:/cb"]},
            {"redirect_uris": ["/cb"]},
            {"redirect_uris": ["https:///cb"]},
            {"redirect_uris": ["https://["]},
            {"redirect_uris": [CALLBACK, "http://localhost.evil.example/cb"]},
            {"redirect_uris": ["https://broker.example/cb#fragment"]},
            {"redirect_uris": ["https://broker.example/c b"]},
            {"redirect_uris": ["https://broker.example/cb\r\nSet-Cookie: a=b"]},
            {"redirect_uris": ["https://user:password@broker.example/cb"]},
            {"redirect_uris": ["https://broker.example;script-src/cb"]},
            {"redirect_uris": ["https://broker.example, *"]},
            {"redirect_uris": ["https://*/cb"]},
            {"redirect_uris": ["https://broker.example:99999/cb"]},
            {"redirect_uris": ["https://brökér.example/cb"]},
            {"grant_types": ["password"]},
            {"grant_types": ["implicit", "authorization_code"]},
            {"grant_types": "authorization_code"},
            {"response_types": ["token"]},
            {"response_types": ["code", "id_token"]},
            {"token_endpoint_auth_method": "none"},
            {"token_endpoint_auth_method": "private_key_jwt"},
            {"token_endpoint_auth_method": 7},
            {"client_uri": "not a url"},
            {"client_uri": "javascript:alert(1)"},
            {"scope": ["openid"]},
            {"contacts": "someone"},
        ],
        ids=lambda metadata: str(metadata)[:70],
    )
    def test_metadata_that_is_no_good_is_refused(
        self, world: World, system: System, metadata: dict[str, Any]
    ) -> None:
        answer = register(world, invite(system), **metadata)
        assert answer.status == 400
        assert answer.json["error"] in ("invalid_client_metadata", "invalid_redirect_uri", "invalid_request")
        assert list(system.register.all(Partner)) == []

    @pytest.mark.parametrize(
        "uri",
        [
            "https://broker.example/cb?a=b",
            "https://broker.example:8443/cb",
            "http://localhost:3000/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:3000/cb",
        ],
    )
    def test_places_that_partners_have(self, world: World, system: System, uri: str) -> None:
        """RFC 8252, section 7.3, for development."""
        assert register(world, invite(system), redirect_uris=[uri]).status == 201

    @pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b'"x"', b"[" * 50_000, b"{}"])
    def test_body_that_is_no_object_is_refused(self, world: World, system: System, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {invite(system)}"}
        answer = Broker(world, None, None).send("POST", "/auth/register", body, headers)
        assert answer.status == 400 and answer.json["error"] in ("invalid_request", "invalid_client_metadata")

    def test_feed_alone_needs_no_place_to_come_back_to(self, world: World, system: System) -> None:
        answer = register(world, invite(system), redirect_uris=..., grant_types=["client_credentials"])
        assert answer.status == 201


class TestClientCredentials:
    """RFC 6749, section 4.4: the feed (AUTH-08)."""

    def test_gives_a_token_for_the_feed(self, world: World, client: Client) -> None:
        answer = client.tokens(grant_type="client_credentials", scope="openactive-ordersfeed")
        assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
        document = answer.json
        token = document.pop("access_token")
        assert document == {"token_type": "Bearer", "expires_in": 900, "scope": "openactive-ordersfeed"}
        assert parts(token)[1]["https://openactive.io/clientId"] == client.id
        assert "https://openactive.io/sellerId" not in parts(token)[1]
        assert get(world, f"{API}/orders-rpde", Authorization=f"Bearer {token}").status == 200

    def test_secret_may_stand_in_the_form(self, world: World, client: Client) -> None:
        form = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": client.secret}
        assert post_form(world, "/auth/token", form, {}).status == 200

    @pytest.mark.parametrize("where", ["basic", "post"])
    @pytest.mark.parametrize("wrong", ["id", "secret", "no secret", "huge"])
    def test_wrong_credentials_are_refused(
        self, world: World, client: Client, where: str, wrong: str
    ) -> None:
        partner_id = {"id": "nobody", "huge": "x" * 5000}.get(wrong, client.id)
        secret = {"secret": client.secret[:-1], "no secret": "", "huge": "y" * 5000}.get(wrong, client.secret)
        form, headers = {"grant_type": "client_credentials"}, {}
        if where == "basic":
            headers = {
                "Authorization": "Basic " + base64.b64encode(f"{partner_id}:{secret}".encode()).decode()
            }
        else:
            form |= {"client_id": partner_id, "client_secret": secret}
        assert_refused(post_form(world, "/auth/token", form, headers), "invalid_client", 401)

    @pytest.mark.parametrize(
        "header",
        [
            "Basic",
            "Basic ",
            "Basic !!!",
            "Basic /w==",
            "Basic Og==",
            "Basic eA==",
            "Bearer x",
            "x",
            "Basic a b",
        ],
    )
    def test_odd_headers_are_refused(self, world: World, client: Client, header: str) -> None:
        answer = post_form(
            world, "/auth/token", {"grant_type": "client_credentials"}, {"Authorization": header}
        )
        assert_refused(answer, "invalid_client", 401)

    def test_suspended_partner_gets_nothing(self, system: System, client: Client) -> None:
        change(system, Partner, Partner.key_of(client.id), suspended=True)
        assert_refused(client.tokens(grant_type="client_credentials"), "invalid_client", 401)

    def test_old_secret_and_new_one_are_good_until_the_old_one_ends(
        self, world: World, system: System, client: Client
    ) -> None:
        """AUTH-05."""
        partner = system.credentials.partner(client.id)
        assert partner is not None
        new = replace(partner.secrets[0], digest=digest("new"))
        old = replace(partner.secrets[0], ends_at=world.clock.now + timedelta(days=1))
        system.register.save(replace(partner, secrets=(old, new)))
        other = Client(world, client.id, "new")
        assert client.feed_token() and other.feed_token()
        world.clock.advance(days=1)
        assert other.feed_token()
        assert_refused(client.tokens(grant_type="client_credentials"), "invalid_client", 401)

    @pytest.mark.parametrize("scope", ["openactive-openbooking", "openid", "profile", "x" * 5000])
    def test_booking_needs_a_login(self, client: Client, scope: str) -> None:
        assert_refused(client.tokens(grant_type="client_credentials", scope=scope), "invalid_scope")

    def test_partner_of_a_single_seller_acts_for_it_while_that_stands(
        self, world: World, system: System
    ) -> None:
        """AUTH-06."""
        add_partner(system, "Own app", "secret", "own", seller_id=SELLER)
        client = Client(world, "own", "secret")
        wanted = {"grant_type": "client_credentials", "scope": "openactive-openbooking openactive-ordersfeed"}
        assert client.tokens(**wanted).json["scope"] == "openactive-ordersfeed"
        system.consent.authorise("own", SELLER, SCOPES, "operator")
        answer = client.tokens(**wanted)
        assert set(answer.json["scope"].split()) == set(wanted["scope"].split())
        assert claims(answer.json["access_token"])["https://openactive.io/sellerId"] == outer(SELLER)
        change(system, Authorisation, Authorisation.key_of("own", SELLER), suspended=True)
        assert client.tokens(**wanted).json["scope"] == "openactive-ordersfeed"

    def test_grant_that_was_not_registered_is_refused(self, world: World, system: System) -> None:
        client = Client.registered(world, grant_types=["authorization_code"])
        assert_refused(client.tokens(grant_type="client_credentials"), "unauthorized_client")

    @pytest.mark.parametrize(
        "grant", ["password", "implicit", "", "urn:ietf:params:oauth:grant-type:device_code"]
    )
    def test_other_grants_are_not_known(self, client: Client, grant: str) -> None:
        assert_refused(client.tokens(grant_type=grant), "unsupported_grant_type")


class TestCodes:
    """RFC 6749, section 4.1.3; RFC 7636."""

    def test_give_what_was_agreed(self, world: World, client: Client) -> None:
        answer = client.redeem(code_for(client, nonce="n-1"))
        tokens = answer.json
        assert answer.headers["Cache-Control"] == "no-store"
        assert set(tokens["scope"].split()) == set(SCOPE.split())
        said = claims(tokens["id_token"])
        now = int(world.clock.now.timestamp())
        assert parts(tokens["id_token"])[0]["typ"] == "JWT"
        assert said["nonce"] == "n-1" and said["aud"] == client.id and said["iss"] == ISSUER
        assert (said["iat"], said["exp"], said["auth_time"]) == (now, now + 900, now)
        half = base64.urlsafe_b64encode(sha256(tokens["access_token"].encode()).digest()[:16])
        assert said["at_hash"] == half.rstrip(b"=").decode()
        assert said["sub"] == said["https://openactive.io/sellerId"] == outer(SELLER)
        assert said["https://openactive.io/sellerName"] == "Kings Mead"
        assert said["https://openactive.io/bookingServiceName"] == "Open Booking"

    def test_without_offline_access_nothing_can_be_renewed(self, client: Client) -> None:
        tokens = client.redeem(code_for(client, scope="openid openactive-openbooking")).json
        assert "refresh_token" not in tokens and "id_token" in tokens

    def test_without_openid_there_is_no_id_token(self, client: Client) -> None:
        tokens = client.redeem(code_for(client, scope="openactive-openbooking offline_access")).json
        assert "id_token" not in tokens and "refresh_token" in tokens

    @pytest.mark.parametrize("verifier", ["w" * 43, "v" * 44, "v" * 42, CHALLENGE, "", "é" * 43])
    def test_wrong_verifier_is_refused(self, client: Client, verifier: str) -> None:
        answer = client.redeem(code_for(client), code_verifier=verifier)
        assert answer.status == 400 and answer.json["error"] in ("invalid_grant", "invalid_request")

    def test_missing_verifier_is_refused(self, client: Client) -> None:
        code = code_for(client)
        answer = client.tokens(grant_type="authorization_code", code=code, redirect_uri=CALLBACK)
        assert answer.status == 400 and "access_token" not in answer.json

    def test_verifier_cannot_be_guessed_at(self, client: Client) -> None:
        """A try with a wrong one uses the code up."""
        code = code_for(client)
        client.redeem(code, code_verifier="w" * 43)
        assert_refused(client.redeem(code), "invalid_grant")

    @pytest.mark.parametrize("uri", ["https://broker.example/other", "", f"{CALLBACK}/", f"{CALLBACK}?a=b"])
    def test_other_place_to_come_back_to_is_refused(self, client: Client, uri: str) -> None:
        assert_refused(client.redeem(code_for(client), redirect_uri=uri), "invalid_grant")

    def test_another_partners_code_is_refused_and_stays_good(self, world: World, client: Client) -> None:
        code = code_for(client)
        assert_refused(Client.registered(world).redeem(code), "invalid_grant")
        assert client.redeem(code).status == 200

    def test_second_use_ends_what_came_of_the_first(self, client: Client) -> None:
        code = code_for(client)
        tokens = client.redeem(code).json
        assert_refused(client.redeem(code), "invalid_grant")
        assert_refused(client.refresh(tokens["refresh_token"]), "invalid_grant")

    def test_is_good_for_two_minutes(self, world: World, client: Client) -> None:
        code = code_for(client)
        world.clock.advance(minutes=2)
        assert_refused(client.redeem(code), "invalid_grant")

    @pytest.mark.parametrize("code", ["", "x", "x" * 10_000, "é", "#"])
    def test_what_is_no_code_is_refused(self, client: Client, code: str) -> None:
        answer = client.redeem(code)
        assert answer.status == 400 and answer.json["error"] in ("invalid_grant", "invalid_request")

    def test_secret_is_needed_as_well(self, world: World, client: Client) -> None:
        form = {
            "grant_type": "authorization_code",
            "client_id": client.id,
            "code": code_for(client),
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        assert_refused(post_form(world, "/auth/token", form, {}), "invalid_client", 401)

    def test_parameter_that_stands_twice_is_refused(self, world: World, client: Client) -> None:
        """RFC 6749, section 3.2."""
        body = f"grant_type=client_credentials&client_id={client.id}&client_secret=x&client_secret={client.secret}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = Broker(world, None, None).send("POST", "/auth/token", body.encode(), headers)
        assert_refused(answer, "invalid_request")


class TestRefresh:
    def test_each_token_is_replaced(self, client: Client) -> None:
        tokens = client.authorised()
        renewed = client.refresh(tokens["refresh_token"]).json
        assert renewed["refresh_token"] != tokens["refresh_token"]
        said = claims(renewed["access_token"])
        assert said["https://openactive.io/sellerId"] == outer(SELLER)
        assert set(renewed["scope"].split()) == set(SCOPE.split())

    def test_less_may_be_asked_for_and_more_not(self, client: Client) -> None:
        """RFC 6749, section 6."""
        token = client.authorised(scope="openactive-openbooking offline_access")["refresh_token"]
        more = client.tokens(grant_type="refresh_token", refresh_token=token, scope="openactive-ordersfeed")
        assert_refused(more, "invalid_scope")
        less = client.tokens(grant_type="refresh_token", refresh_token=token, scope="offline_access").json
        assert claims(less["access_token"])["scope"] == "offline_access"
        again = client.refresh(less["refresh_token"]).json
        assert "openactive-openbooking" in again["scope"]

    def test_lost_answer_is_forgiven_within_half_a_minute_once(self, world: World, client: Client) -> None:
        token = client.authorised()["refresh_token"]
        assert client.refresh(token).status == 200
        world.clock.advance(seconds=29)
        newest = client.refresh(token).json["refresh_token"]
        assert client.refresh(newest).status == 200

    def test_one_used_again_later_ends_all(self, world: World, client: Client) -> None:
        token = client.authorised()["refresh_token"]
        newest = client.refresh(token).json["refresh_token"]
        world.clock.advance(seconds=31)
        assert_refused(client.refresh(token), "invalid_grant")
        assert_refused(client.refresh(newest), "invalid_grant")

    @pytest.mark.parametrize("ended", ["revoked", "suspended", "seller suspended"])
    def test_is_refused_once_the_seller_has_ended_it(
        self, world: World, system: System, client: Client, ended: str
    ) -> None:
        """AUTH-03, AUTH-06."""
        token = client.authorised()["refresh_token"]
        key = Authorisation.key_of(client.id, SELLER)
        if ended == "revoked":
            change(system, Authorisation, key, revoked_at=world.clock.now)
        elif ended == "suspended":
            change(system, Authorisation, key, suspended=True)
        else:
            system.register.save(SellerStanding(SELLER, suspended=True))
        assert_refused(client.refresh(token), "invalid_grant")

    def test_another_partners_token_is_refused_and_stays_good(self, world: World, client: Client) -> None:
        token = client.authorised()["refresh_token"]
        assert_refused(Client.registered(world).refresh(token), "invalid_grant")
        assert client.refresh(token).status == 200

    def test_partners_own_new_secret_does_not_end_it(
        self, world: World, system: System, client: Client
    ) -> None:
        """AUTH-05."""
        token = client.authorised()["refresh_token"]
        partner = system.credentials.partner(client.id)
        assert partner is not None
        secrets = (replace(partner.secrets[0], digest=digest("new")),)
        system.register.save(replace(partner, secrets=secrets))
        assert Client(world, client.id, "new").refresh(token).status == 200

    @pytest.mark.parametrize("token", ["", "x", ".", "x.y", "x" * 10_000 + ".y", "é.é"])
    def test_what_is_none_is_refused(self, client: Client, token: str) -> None:
        answer = client.refresh(token)
        assert answer.status == 400 and answer.json["error"] in ("invalid_grant", "invalid_request")


class TestRevocation:
    """RFC 7009."""

    def revoke(self, client: Client, token: str) -> Answer:
        basic = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
        return post_form(client.world, "/auth/revoke", {"token": token}, {"Authorization": f"Basic {basic}"})

    def test_token_is_good_no_more(self, client: Client) -> None:
        token = client.authorised()["refresh_token"]
        assert self.revoke(client, token).status == 200
        assert_refused(client.refresh(token), "invalid_grant")
        assert self.revoke(client, token).status == 200

    @pytest.mark.parametrize("token", ["x", "x.y", "x" * 10_000])
    def test_what_is_no_token_needs_no_end(self, client: Client, token: str) -> None:
        assert self.revoke(client, token).status == 200

    def test_another_partners_stays_good(self, world: World, client: Client) -> None:
        token = client.authorised()["refresh_token"]
        assert self.revoke(Client.registered(world), token).status in (200, 400)
        assert client.refresh(token).status == 200

    def test_access_token_just_ends_in_its_time(self, world: World, client: Client) -> None:
        tokens = client.authorised()
        assert self.revoke(client, tokens["access_token"]).status == 200
        assert client.refresh(tokens["refresh_token"]).status == 200

    def test_secret_is_needed(self, world: World, client: Client) -> None:
        token = client.authorised()["refresh_token"]
        assert_refused(self.revoke(Client(world, client.id, "wrong"), token), "invalid_client", 401)
        assert client.refresh(token).status == 200


class TestWhatHttpHasToSay:
    @pytest.mark.parametrize("path", ["token", "register", "revoke"])
    @pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
    def test_other_verbs_are_refused(self, world: World, system: System, path: str, verb: str) -> None:
        answer = Broker(world, None, None).send(verb, f"/auth/{path}", headers={"Content-Type": None})
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"

    @pytest.mark.parametrize("path", [".well-known/openid-configuration", "jwks"])
    @pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE"])
    def test_what_is_read_only_is(self, world: World, system: System, path: str, verb: str) -> None:
        answer = Broker(world, None, None).send(verb, f"/auth/{path}", b"", {"Content-Type": None})
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")

    @pytest.mark.parametrize("path", [".well-known/openid-configuration", "jwks"])
    def test_head_is_get_without_a_body(self, world: World, system: System, path: str) -> None:
        answer = Broker(world, None, None).send("HEAD", f"/auth/{path}", headers={"Content-Type": None})
        assert (answer.status, answer.body) == (200, b"")

    @pytest.mark.parametrize("path", ["token", "revoke", "authorize", "register"])
    @pytest.mark.parametrize(
        "media_type", ["text/plain", "multipart/form-data; boundary=x", "application/xml"]
    )
    def test_other_media_types_are_refused(
        self, world: World, system: System, path: str, media_type: str
    ) -> None:
        answer = Broker(world, None, None).send("POST", f"/auth/{path}", b"a=b", {"Content-Type": media_type})
        assert answer.status == 415


odd = odd_text(CALLBACK, "<script>")
FIELDS = [
    "grant_type",
    "client_id",
    "client_secret",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "scope",
    "token",
    "token_type_hint",
]


@pytest.fixture(scope="module")
def open_world() -> Iterator[World]:
    made = World()
    open_provider(made)
    yield made
    install(None)


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(
    form=st.dictionaries(st.sampled_from(FIELDS) | odd, odd, max_size=8),
    path=st.sampled_from(["token", "revoke"]),
    grant=st.sampled_from(["authorization_code", "refresh_token", "client_credentials", None]),
    header=st.none() | st.binary(max_size=20).map(lambda raw: "Basic " + base64.b64encode(raw).decode()),
    known=st.booleans(),
)
def test_any_form_is_answered(
    open_world: World, form: dict[str, str], path: str, grant: str | None, header: str | None, known: bool
) -> None:
    """Never a fault of ours, and never a token."""
    install(open_world.system)
    system = open_world.system
    if system.credentials.partner("known") is None:
        add_partner(system, "Known", "secret", "known", redirect_uris=[CALLBACK])
    form = form | ({"grant_type": grant} if grant else {})
    if known:
        form |= {"client_id": "known", "client_secret": "secret"}
    answer = post_form(open_world, f"/auth/{path}", form, {"Authorization": header} if header else {})
    assert answer.status in ((200, 400, 401) if known else (400, 401)), answer.body
    if answer.status != 200:
        assert answer.json["error"]


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=60), path=st.sampled_from(["token", "revoke", "register", "authorize"]))
def test_any_bytes_are_answered(open_world: World, body: bytes, path: str) -> None:
    install(open_world.system)
    media_type = "application/json" if path == "register" else "application/x-www-form-urlencoded"
    answer = Broker(open_world, None, None).send("POST", f"/auth/{path}", body, {"Content-Type": media_type})
    assert answer.status in (400, 401)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd, inner, max_size=3),
    max_leaves=5,
)
METADATA = [
    "client_name",
    "client_uri",
    "redirect_uris",
    "grant_types",
    "response_types",
    "scope",
    "contacts",
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "jwks",
    "jwks_uri",
    "software_id",
    "software_version",
    "software_statement",
    "token_endpoint_auth_method",
]


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(metadata=st.dictionaries(st.sampled_from(METADATA) | odd, values, max_size=4))
def test_any_metadata_is_answered(open_world: World, metadata: dict[str, Any]) -> None:
    install(open_world.system)
    token = "a-token-for-any-number"
    if open_world.system.credentials.invitation(token) is None:
        invite(open_world.system, token, uses=None)
    answer = register(open_world, token, **metadata)
    assert answer.status in (201, 400), answer.body
    assert json.loads(answer.body)


class TestAnotherIssuer:
    """AUTHENTICATION may name `issuer`, alone or beside our own provider."""

    @pytest.fixture
    def issuer(self) -> Provider:
        return Provider()

    def take(self, world: World, issuer: Provider, authentication: str) -> None:
        world.set(authentication=authentication, issuer=issuer.issuer, issuer_audience="booking")
        [way] = [each for each in world.system.callers.ways if isinstance(each, BearerTokens)]
        [reader] = [each for each in way.readers if isinstance(each, ExternalTokens)]
        reader.fetch = issuer.fetch

    def token(self, world: World, issuer: Provider, **changes: Any) -> str:
        said = {"aud": "booking", "exp": int(world.clock.now.timestamp()) + 60, "client_id": "broker-7"}
        scope = "openactive-openbooking openactive-ordersfeed"
        return issuer.token(
            said | {"https://openactive.io/sellerId": outer(SELLER), "scope": scope} | changes
        )

    @pytest.mark.parametrize("authentication", ["issuer", "openid,issuer"])
    def test_its_partner_books(self, world: World, issuer: Provider, authentication: str) -> None:
        self.take(world, issuer, authentication)
        uuid, broker = "10000000-0000-4000-8000-000000000001", Broker(world, None, 1)
        body = broker.body("OrderQuote", world.session().item())
        headers = {"Authorization": f"Bearer {self.token(world, issuer)}"}
        assert broker.send("PUT", f"{API}/order-quote-templates/{uuid}", body, headers).status == 200
        headers = {"Authorization": f"Bearer {self.token(world, issuer, aud='other')}"}
        assert broker.send("PUT", f"{API}/order-quote-templates/{uuid}", body, headers).status == 401

    def test_ours_are_taken_beside_its(self, world: World, client: Client, issuer: Provider) -> None:
        token = client.feed_token()
        self.take(world, issuer, "openid,issuer")
        assert get(world, f"{API}/orders-rpde", Authorization=f"Bearer {token}").status == 200
        self.take(world, issuer, "issuer")
        assert get(world, f"{API}/orders-rpde", Authorization=f"Bearer {token}").status == 401

    def test_while_it_cannot_be_asked_the_answer_says_so(self, world: World, issuer: Provider) -> None:
        """Not 401, upon which a partner would throw its token away."""
        issuer.down = True
        self.take(world, issuer, "issuer")
        token = self.token(world, issuer)
        assert get(world, f"{API}/orders-rpde", Authorization=f"Bearer {token}").status == 503


def test_query_of_the_token_endpoint_says_nothing(world: World, client: Client) -> None:
    """RFC 6749, section 3.2: secrets in a URL would stand in logs."""
    query = urlencode(
        {"grant_type": "client_credentials", "client_id": client.id, "client_secret": client.secret}
    )
    answer = post_form(world, f"/auth/token?{query}", {}, {})
    assert answer.status in (400, 401)


def test_no_more_is_kept_of_a_refused_request(world: World, client: Client) -> None:
    before = world.identities.calls  # type: ignore[attr-defined]
    client.tokens(grant_type="authorization_code", code="x", redirect_uri=CALLBACK)
    assert list(world.system.register.all(Grant)) == []
    assert world.identities.calls - before <= 3  # type: ignore[attr-defined]
