"""The OpenID provider against RFC 6749, 6750, 7009, 7636, 9207, 9700 and OpenID Connect Core 1.0.

docs/openid.md has the requirements that apply, each with its test here or in a neighbouring module.
"""

import base64
import hashlib
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.identity.entries import Authorisation, AuthorisationCode, Grant
from chalicelib.identity.oauth.authorisation import PARAMETERS
from chalicelib.runtime.system import System, install
from chalicelib.values import replace
from tests.support.oauth import (
    CALLBACK,
    CHALLENGE,
    ISSUER,
    SCOPE,
    USERNAME,
    Browser,
    Client,
    add_login,
    change,
    claims,
    invite,
    open_provider,
    post_form,
    register,
)
from tests.support.tokens import with_signature_changed
from tests.support.world import API, Answer, Broker, World, outer, seller_id

SELLER = seller_id(1)
VISIBLE = "".join(map(chr, range(0x20, 0x7F)))


@pytest.fixture
def system(world: World) -> System:
    return open_provider(world)


@pytest.fixture
def client(system: System, world: World) -> Client:
    return Client.registered(world)


@pytest.fixture
def browser(world: World) -> Browser:
    return Browser(world)


def answered(client: Client, browser: Browser, **parameters: Any) -> dict[str, str]:
    """The answer to the partner after the Seller has logged in and given consent."""
    answer = browser.begin(client, **parameters)
    assert answer.status == 200, answer.headers.get("Location")
    answer = browser.sign_in()
    if answer.status == 200:
        answer = browser.decide("allow")
    assert answer.status == 303, answer.body
    return browser.query(answer)


def username_shown(browser: Browser) -> str:
    return unescape(browser.page.partition('id="username"')[2].partition(' value="')[2].partition('"')[0])


class TestLegalRequests:
    @pytest.mark.parametrize(
        "parameters",
        [
            {"state": '{"to":"/basket"}'},
            {"state": "a\\b"},
            {"state": VISIBLE},
            {"nonce": '"n"'},
            {"nonce": "nön🌱ce"},
            {"login_hint": "jörg@example.com"},
            {"login_hint": '"><script>alert(1)</script>'},
            {"claims": '{"id_token":{"auth_time":{"essential":true}}}'},
            {"claims": "no JSON"},
            {"claims_locales": "fr de"},
            {"ui_locales": "cy en-GB en"},
            {"acr_values": "urn:mace:incommon:iap:silver"},
            {"display": "popup"},
            {"display": "hologram"},
            {"prompt": "login"},
            {"prompt": "consent"},
            {"prompt": "select_account"},
            {"prompt": "login consent select_account"},
            {"prompt": "create"},
            {"max_age": "0"},
            {"max_age": "10000"},
            {"response_mode": "query"},
            {"id_token_hint": "no token"},
            {"utm_term": "é"},
            {"resource": "https://booking.example", "dpop_jkt": "x"},
            {"": "x", "\x00": "\x00", "x" * 300: "y" * 3000},
        ],
        ids=lambda each: str(each)[:60],
    )
    @pytest.mark.parametrize("scope", [SCOPE, "openactive-openbooking"])
    def test_are_answered_with_a_code(
        self, client: Client, browser: Browser, parameters: dict[str, str], scope: str
    ) -> None:
        """RFC 6749, section 3.1 and appendix A.5; OpenID Connect Core 1.0, sections 3.1.2.1 and 5.5."""
        told = answered(client, browser, scope=scope, **{"state": "s-1"} | parameters)
        assert told.pop("code")
        assert told == {"state": parameters.get("state", "s-1"), "iss": ISSUER}

    def test_unknown_parameter_may_stand_twice(self, world: World, client: Client) -> None:
        query = urlencode(
            {
                "response_type": "code", "client_id": client.id, "redirect_uri": CALLBACK, "scope": SCOPE,
                "code_challenge": CHALLENGE, "code_challenge_method": "S256",
            }
        )  # fmt: skip
        path = f"/auth/authorize?{query}&utm=a&utm=b"
        assert Broker(world, None, None).send("GET", path, headers={"Content-Type": None}).status == 200

    @pytest.mark.parametrize("name", sorted(set(PARAMETERS) - {"response_type", "client_id"}))
    def test_one_without_a_value_counts_as_missing(self, client: Client, name: str) -> None:
        """RFC 6749, section 3.1."""
        empty, missing = Browser(client.world), Browser(client.world)
        first, second = empty.begin(client, **{name: ""}), missing.begin(client, **{name: ...})
        assert (first.status, first.headers.get("Location")) == (
            second.status,
            second.headers.get("Location"),
        )
        assert first.status == (303 if name.startswith("code_challenge") else 200)

    def test_may_be_sent_by_post(self, world: World, client: Client, browser: Browser) -> None:
        """OpenID Connect Core 1.0, section 3.1.2.1."""
        form = {
            "response_type": "code", "client_id": client.id, "redirect_uri": CALLBACK, "scope": SCOPE,
            "code_challenge": CHALLENGE, "code_challenge_method": "S256", "state": '"s"', "utm": "x",
        }  # fmt: skip
        assert browser._show(post_form(world, "/auth/authorize", form, {})).status == 200
        browser.sign_in()
        told = browser.query(browser.decide("allow"))
        assert told["state"] == '"s"'
        assert client.redeem(told["code"]).status == 200

    def test_post_for_nobody_is_refused_as_get_is(self, world: World, system: System) -> None:
        answer = post_form(world, "/auth/authorize", {"redirect_uri": "https://evil.example/"}, {})
        assert answer.status == 400 and "Location" not in answer.headers
        assert b"This link does not work" in answer.body


class TestHints:
    def test_name_is_filled_in(self, client: Client, browser: Browser) -> None:
        browser.begin(client, login_hint="jörg@example.com")
        assert username_shown(browser) == "jörg@example.com"

    @pytest.mark.parametrize("hint", ["", "x" * 201])
    def test_name_that_does_not_fit_is_left_out(self, client: Client, browser: Browser, hint: str) -> None:
        browser.begin(client, login_hint=hint)
        assert username_shown(browser) == ""

    def test_name_is_text(self, client: Client, browser: Browser) -> None:
        browser.begin(client, login_hint='"><script>alert(1)</script>')
        assert username_shown(browser) == '"><script>alert(1)</script>' and "<script" not in browser.page

    def test_id_token_says_which_seller_is_meant(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        """OpenID Connect Core 1.0, section 3.1.2.1: also one that has ended."""
        hint = client.authorised()["id_token"]
        add_login(system, "sam", (1, 2))
        client.world.clock.advance(hours=1)
        browser.begin(client, id_token_hint=hint)
        tokens = client.redeem(browser.code(browser.sign_in("sam"))).json  # nothing is left to choose
        assert claims(tokens["access_token"])["https://openactive.io/sellerId"] == outer(SELLER)

    def test_who_does_not_speak_for_that_seller_gets_no_further(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        hint = client.authorised()["id_token"]
        add_login(system, "of-seller-2", (2,))
        browser.begin(client, id_token_hint=hint, state="s")
        told = browser.query(browser.sign_in("of-seller-2"))
        assert (told["error"], told["state"], told["iss"]) == ("login_required", "s", ISSUER)

    def test_other_seller_cannot_be_chosen(self, system: System, client: Client, browser: Browser) -> None:
        hint = client.authorised()["id_token"]
        add_login(system, "sam", (1, 2))
        browser.begin(client, id_token_hint=hint, prompt="consent")
        browser.sign_in("sam")
        assert browser.submit(decision="allow", seller=outer(seller_id(2))).status == 403

    @pytest.mark.parametrize("spoilt", ["signature", "kind", "partner"])
    def test_what_is_no_id_token_of_the_partner_says_nothing(
        self, world: World, system: System, client: Client, browser: Browser, spoilt: str
    ) -> None:
        tokens = client.authorised()
        other = Client.registered(world).authorised()["id_token"]
        hint = {
            "signature": with_signature_changed(tokens["id_token"]),
            "kind": tokens["access_token"],
            "partner": other,
        }[spoilt]
        add_login(system, "of-seller-2", (2,))
        browser.begin(client, id_token_hint=hint)
        assert browser.sign_in("of-seller-2").status == 200


class TestRefusedRequests:
    """OpenID Connect Core 1.0, section 3.1.2.6."""

    @pytest.mark.parametrize(
        ("parameters", "error"),
        [
            ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
            ({"request": "é"}, "request_not_supported"),
            ({"request_uri": "https://x.example/r"}, "request_uri_not_supported"),
            ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "request_uri_not_supported"),
            ({"registration": "{}"}, "registration_not_supported"),
            ({"request": "x", "scope": "unknown", "prompt": "none"}, "request_not_supported"),
            ({"request": "x", "code_challenge": ...}, "request_not_supported"),
            ({"response_mode": "fragment"}, "invalid_request"),
            ({"response_mode": "form_post"}, "invalid_request"),
            ({"max_age": "soon"}, "invalid_request"),
            ({"max_age": "-1"}, "invalid_request"),
            ({"max_age": "٣"}, "invalid_request"),
            ({"prompt": "none"}, "login_required"),
            ({"prompt": "none", "max_age": "10000", "login_hint": USERNAME}, "login_required"),
            ({"prompt": "none consent"}, "invalid_request"),
            ({"response_type": "code token"}, "unsupported_response_type"),
            ({"response_type": "é"}, "unsupported_response_type"),
            ({"code_challenge": CHALLENGE + "\n"}, "invalid_request"),
            ({"code_challenge": "v" * 44}, "invalid_request"),
            ({"code_challenge_method": "plain", "prompt": "none"}, "invalid_request"),
        ],
        ids=lambda each: str(each)[:60],
    )
    @pytest.mark.parametrize("scope", [SCOPE, "openactive-openbooking"])
    def test_partner_is_told_by_the_named_error(
        self, client: Client, browser: Browser, parameters: dict[str, Any], error: str, scope: str
    ) -> None:
        answer = browser.begin(client, **{"state": '"s"', "scope": scope} | parameters)
        assert answer.status == 303
        told = browser.query(answer)
        assert (told["error"], told["state"], told["iss"]) == (error, '"s"', ISSUER)
        assert set(told) <= {"error", "error_description", "state", "iss"}

    @pytest.mark.parametrize("name", ["request", "request_uri", "registration", "prompt", "max_age"])
    def test_error_goes_only_where_a_partner_is(self, client: Client, browser: Browser, name: str) -> None:
        """RFC 6749, section 4.1.2.1."""
        answer = browser.begin(client, redirect_uri="https://evil.example/cb", **{name: "none"})
        assert answer.status == 400 and "Location" not in answer.headers

    def test_metadata_says_what_is_not_supported(self, world: World, system: System) -> None:
        """OpenID Connect Discovery 1.0, section 3: request_uri counts as supported where nothing is said."""
        document = discovery(world)
        for name in ("request_parameter", "request_uri_parameter", "claims_parameter"):
            assert document[f"{name}_supported"] is False
        assert document["response_modes_supported"] == ["query"]
        assert "userinfo_endpoint" not in document

    def test_too_much_is_refused_before_it_is_kept(self, world: World, client: Client) -> None:
        form = {
            "response_type": "code", "client_id": client.id, "redirect_uri": CALLBACK, "scope": SCOPE,
            "code_challenge": CHALLENGE, "code_challenge_method": "S256", "nonce": "n" * 500_000,
        }  # fmt: skip
        assert post_form(world, "/auth/authorize", form, {}).status == 400


def discovery(world: World) -> dict[str, Any]:
    headers: dict[str, str | None] = {"Content-Type": None}
    return (
        Broker(world, None, None).send("GET", "/auth/.well-known/openid-configuration", headers=headers).json
    )


class TestAnswers:
    def test_each_names_its_issuer(self, client: Client, browser: Browser) -> None:
        """RFC 9207, section 2: a code, a refusal, an error."""
        assert answered(client, browser)["iss"] == ISSUER
        browser.begin(client, prompt="consent")
        browser.sign_in()
        refused = browser.query(browser.decide("deny"))
        assert (refused["error"], refused["iss"]) == ("access_denied", ISSUER)
        assert browser.query(browser.begin(client, scope="unknown"))["iss"] == ISSUER

    def test_issuer_is_the_one_that_metadata_and_tokens_name(self, client: Client, browser: Browser) -> None:
        """RFC 9207, sections 2.4 and 3."""
        told, document = answered(client, browser), discovery(client.world)
        assert document["authorization_response_iss_parameter_supported"] is True
        assert told["iss"] == document["issuer"]
        assert told["iss"] == claims(client.redeem(told["code"]).json["id_token"])["iss"]

    def test_place_to_come_back_to_keeps_its_query(self, world: World, system: System) -> None:
        """RFC 6749, section 3.1.2."""
        uri = f"{CALLBACK}?shop=7&a=b%20c"
        browser, client = Browser(world), Client.registered(world, redirect_uris=[uri])
        told = answered(client, browser, redirect_uri=uri, state="s")
        assert {name: told[name] for name in ("shop", "a", "state", "iss")} == {
            "shop": "7", "a": "b c", "state": "s", "iss": ISSUER,
        }  # fmt: skip

    def test_form_is_followed_by_a_get(self, client: Client, browser: Browser) -> None:
        """RFC 9700, section 4.12: with 307 the password would go to the partner."""
        browser.begin(client)
        browser.sign_in()
        assert browser.decide("allow").status == 303

    def test_no_script_elsewhere_may_read_the_endpoint(self, world: World, client: Client) -> None:
        """RFC 9700, section 2.6: no CORS at the authorization endpoint."""
        browser = Browser(world)
        for answer in (browser.begin(client), browser.sign_in(), browser.decide("allow")):
            assert not [name for name in answer.headers if name.lower().startswith("access-control-")]

    def test_time_of_the_login_is_not_that_of_the_consent(self, client: Client, browser: Browser) -> None:
        """OpenID Connect Core 1.0, section 2: auth_time, which max_age is compared with."""
        browser.begin(client, max_age="60")
        logged_in_at = int(client.world.clock.now.timestamp())
        browser.sign_in()
        client.world.clock.advance(minutes=10)
        said = claims(client.redeem(browser.code(browser.decide("allow"))).json["id_token"])
        assert (said["auth_time"], said["iat"]) == (logged_in_at, logged_in_at + 600)


class TestConsentForm:
    """A ticket of a consent form is good once."""

    @pytest.fixture
    def form(self, client: Client, browser: Browser) -> dict[str, str]:
        browser.begin(client)
        page = browser.sign_in().body.decode()
        ticket = unescape(page.partition('name="ticket" value="')[2].partition('"')[0])
        return {"ticket": ticket, "decision": "allow", "seller": outer(SELLER)}

    def send(self, browser: Browser, form: dict[str, str]) -> Answer:
        return post_form(browser.world, "/auth/authorize", form, browser._headers())

    def codes(self, system: System) -> int:
        return len(list(system.register.all(AuthorisationCode)))

    def test_second_use_gives_no_code(self, system: System, browser: Browser, form: dict[str, str]) -> None:
        assert self.send(browser, form).status == 303
        again = self.send(browser, form)
        assert again.status == 400 and b"Your answer was received" in again.body
        assert self.codes(system) == 1

    def test_refusal_uses_it_up_too(self, system: System, browser: Browser, form: dict[str, str]) -> None:
        assert self.send(browser, form | {"decision": "deny"}).status == 303
        assert self.send(browser, form).status == 400
        assert self.codes(system) == 0
        assert list(system.register.all(Authorisation)) == []

    def test_what_was_ended_meanwhile_is_not_allowed_again(
        self, world: World, system: System, client: Client, browser: Browser, form: dict[str, str]
    ) -> None:
        self.send(browser, form)
        key = Authorisation.key_of(client.id, SELLER)
        change(system, Authorisation, key, revoked_at=world.clock.now)
        assert self.send(browser, form).status == 400
        found = system.register.find(Authorisation, key)
        assert found is not None and not found.stands

    def test_mistake_does_not_use_it_up(self, browser: Browser, form: dict[str, str]) -> None:
        assert self.send(browser, form | {"seller": outer(seller_id(2))}).status == 403
        assert self.send(browser, form).status == 303

    def test_next_request_has_a_form_of_its_own(self, client: Client, browser: Browser) -> None:
        for _ in range(2):
            browser.begin(client, prompt="consent")
            browser.sign_in()
            assert browser.decide("allow").status == 303

    def test_is_remembered_as_used_until_it_has_ended(
        self, world: World, browser: Browser, form: dict[str, str]
    ) -> None:
        world.clock.advance(minutes=14)
        assert self.send(browser, form).status == 303
        world.clock.advance(minutes=1, seconds=30)
        assert b"has expired" in self.send(browser, form).body


class TestClientAuthentication:
    def basic(self, client: Client, secret: str | None = None) -> dict[str, str]:
        given = f"{client.id}:{client.secret if secret is None else secret}"
        return {"Authorization": "Basic " + base64.b64encode(given.encode()).decode()}

    @pytest.mark.parametrize("path", ["token", "revoke"])
    @pytest.mark.parametrize(
        "also",
        [
            {"client_id": "own", "client_secret": "own"},
            {"client_id": "other", "client_secret": "other"},
            {"client_secret": "wrong"},
            {"client_assertion": "x", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
            {"client_id": "other"},
        ],
        ids=str,
    )  # fmt: skip
    def test_two_ways_in_one_request_are_refused(
        self, world: World, client: Client, path: str, also: dict[str, str]
    ) -> None:
        """RFC 6749, section 2.3."""
        other = Client.registered(world)
        known = {
            "client_id": {"own": client.id, "other": other.id},
            "client_secret": {"own": client.secret, "other": other.secret},
        }
        form = {name: known.get(name, {}).get(value, value) for name, value in also.items()}
        form |= {"grant_type": "client_credentials", "token": "x"}
        answer = post_form(world, f"/auth/{path}", form, self.basic(client))
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")

    def test_assertion_beside_a_secret_is_refused(self, world: World, client: Client) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": client.id,
            "client_secret": client.secret,
            "client_assertion": "x",
        }
        assert post_form(world, "/auth/token", form, {}).json["error"] == "invalid_request"

    @pytest.mark.parametrize("also", [{}, {"client_secret": ""}, {"client_id": "own"}], ids=str)
    def test_one_way_is_enough(self, world: World, client: Client, also: dict[str, str]) -> None:
        form = {"grant_type": "client_credentials"} | {
            name: client.id if value == "own" else value for name, value in also.items()
        }
        assert post_form(world, "/auth/token", form, self.basic(client)).status == 200

    def test_public_clients_are_not_served(self, world: World, client: Client) -> None:
        """RFC 9700, section 2.5: every partner has a secret."""
        assert "none" not in discovery(world)["token_endpoint_auth_methods_supported"]
        form = {"grant_type": "client_credentials", "client_id": client.id}
        answer = post_form(world, "/auth/token", form, {})
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")


class TestTokensOfOthers:
    """A wrong or foreign token ends nothing (RFC 7009, section 2.1; RFC 9700, section 4.14.2)."""

    @pytest.fixture
    def newest(self, world: World, client: Client) -> str:
        """The refresh token of a line that has been renewed several times."""
        token = str(client.authorised()["refresh_token"])
        for _ in range(3):
            token = str(client.refresh(token).json["refresh_token"])
        world.clock.advance(minutes=1)
        return token

    def ask(self, client: Client, path: str, token: str) -> Answer:
        basic = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
        form = {"grant_type": "refresh_token", "refresh_token": token, "token": token}
        return post_form(client.world, f"/auth/{path}", form, {"Authorization": f"Basic {basic}"})

    @pytest.mark.parametrize("path", ["token", "revoke"])
    @pytest.mark.parametrize("whose", ["own", "foreign"])
    @pytest.mark.parametrize("guess", ["garbage", "", "a.b", ".", "x" * 43 + "." + "y" * 32])
    def test_guessed_one_ends_nothing(
        self, world: World, client: Client, newest: str, path: str, whose: str, guess: str
    ) -> None:
        asking = client if whose == "own" else Client.registered(world)
        answer = self.ask(asking, path, f"{newest.partition('.')[0]}.{guess}")
        assert answer.status == (200 if path == "revoke" else 400)
        assert client.refresh(newest).status == 200

    @pytest.mark.parametrize("path", ["token", "revoke"])
    @pytest.mark.parametrize("age", [0, 1, 3])
    def test_foreign_one_ends_nothing(self, world: World, client: Client, path: str, age: int) -> None:
        tokens = [str(client.authorised()["refresh_token"])]
        for _ in range(3):
            tokens.append(str(client.refresh(tokens[-1]).json["refresh_token"]))
        world.clock.advance(minutes=1)
        answer = self.ask(Client.registered(world), path, tokens[-1 - age])
        assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
        assert client.refresh(tokens[-1]).status == 200

    @pytest.mark.parametrize("age", [1, 2, 3])
    def test_each_that_was_valid_once_ends_the_line(self, world: World, client: Client, age: int) -> None:
        """RFC 9700, section 4.14.2: however long ago it was replaced."""
        tokens = [str(client.authorised()["refresh_token"])]
        for _ in range(3):
            tokens.append(str(client.refresh(tokens[-1]).json["refresh_token"]))
        world.clock.advance(minutes=1)
        assert client.refresh(tokens[-1 - age]).json["error"] == "invalid_grant"
        assert client.refresh(tokens[-1]).json["error"] == "invalid_grant"

    def test_partner_may_give_back_one_that_was_replaced(self, client: Client) -> None:
        old = str(client.authorised()["refresh_token"])
        new = str(client.refresh(old).json["refresh_token"])
        assert self.ask(client, "revoke", old).status == 200
        assert client.refresh(new).json["error"] == "invalid_grant"

    @pytest.mark.parametrize("hint", ["refresh_token", "access_token", "id_token", "x"])
    def test_wrong_hint_is_no_mistake(self, world: World, client: Client, newest: str, hint: str) -> None:
        """RFC 7009, section 2.1."""
        form = {
            "token": newest,
            "token_type_hint": hint,
            "client_id": client.id,
            "client_secret": client.secret,
        }
        assert post_form(world, "/auth/revoke", form, {}).status == 200
        assert client.refresh(newest).json["error"] == "invalid_grant"

    def test_line_of_an_earlier_release_is_not_ended_by_a_guess(
        self, system: System, client: Client, newest: str
    ) -> None:
        """Its rows have no marker yet; the next token gives them one."""
        [grant] = system.register.all(Grant)
        system.register.save(replace(grant, marker=None))
        assert self.ask(client, "token", f"{grant.id}.garbage").status == 400
        renewed = client.refresh(newest)
        assert renewed.status == 200
        [grant] = system.register.all(Grant)
        assert grant.marker is not None

    def test_code_of_another_partner_ends_nothing(
        self, world: World, client: Client, browser: Browser
    ) -> None:
        code = answered(client, browser)["code"]
        tokens = client.redeem(code).json
        assert Client.registered(world).redeem(code).json["error"] == "invalid_grant"
        assert client.refresh(tokens["refresh_token"]).status == 200


class TestAccessTokens:
    def get(self, world: World, path: str, **headers: str) -> Answer:
        return Broker(world, None, None).send("GET", path, headers={"Content-Type": None, **headers})

    def test_are_taken_from_the_header_alone(self, world: World, client: Client) -> None:
        """RFC 6750, section 2.3; RFC 9700, section 4.3.2: none in a URL, which stands in logs."""
        world.set(authentication="openid")
        token = client.feed_token()
        assert self.get(world, f"{API}/orders-rpde?access_token={token}").status == 403
        assert self.get(world, f"{API}/orders-rpde", Authorization=f"Bearer {token}").status == 200

    @pytest.mark.parametrize("scheme", ["DPoP", "Token", "Bearer,"])
    def test_under_another_scheme_are_refused(self, world: World, client: Client, scheme: str) -> None:
        """RFC 9449, section 7.1: sender-constrained tokens are not offered (docs/decisions)."""
        answer = self.get(world, f"{API}/orders-rpde", Authorization=f"{scheme} {client.feed_token()}")
        assert answer.status == 401

    def test_proof_of_possession_is_no_mistake_and_binds_nothing(self, world: World, client: Client) -> None:
        """RFC 9449, section 5: who asks for a bound token sees by its type that it got another."""
        form = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": client.secret}
        answer = post_form(world, "/auth/token", form, {"DPoP": "a.b.c"})
        assert answer.json["token_type"] == "Bearer"
        assert "cnf" not in claims(answer.json["access_token"])
        assert not [name for name in discovery(world) if "dpop" in name or "tls" in name]

    def test_refusal_says_what_is_wrong(self, world: World, client: Client) -> None:
        """RFC 6750, section 3.1."""
        answer = self.get(world, f"{API}/orders-rpde", Authorization="Bearer x")
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        tokens = client.authorised()
        answer = self.get(world, f"{API}/orders-rpde", Authorization=f"Bearer {tokens['access_token']}")
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer error="insufficient_scope", scope="openactive-ordersfeed"'
        )

    def test_subject_of_a_partner_is_never_that_of_a_seller(self, world: World, system: System) -> None:
        """RFC 9700, section 4.15: the ids of partners are ours, and no URLs as those of Sellers are."""
        answer = register(world, invite(system), client_id=outer(SELLER), id=outer(SELLER))
        client = Client(world, answer.json["client_id"], answer.json["client_secret"])
        subject = claims(client.feed_token())["sub"]
        assert subject == client.id != outer(SELLER)
        assert ":" not in subject and "/" not in subject

    def test_say_whom_they_are_for_and_no_more_than_was_asked_for(
        self, client: Client, browser: Browser
    ) -> None:
        """RFC 9700, section 2.3."""
        told = answered(client, browser, scope="openid openactive-openbooking")
        said = claims(client.redeem(told["code"]).json["access_token"])
        assert said["aud"].endswith("/api/openbooking")
        assert said["scope"].split() == ["openid", "openactive-openbooking"]
        assert not {"https://openactive.io/sellerName", "name", "email"} & set(said)


class TestPkce:
    """RFC 7636; RFC 9700, sections 2.1.1 and 4.8."""

    def test_is_advertised_with_s256_alone(self, world: World, system: System) -> None:
        assert discovery(world)["code_challenge_methods_supported"] == ["S256"]

    @pytest.mark.parametrize("verifier", ["v" * 42, "v" * 129, "v" * 43 + "\n", "v" * 42 + "é", ""])
    def test_verifier_has_the_form_that_it_must_have(
        self, client: Client, browser: Browser, verifier: str
    ) -> None:
        """RFC 7636, section 4.1: also where its digest would fit."""
        made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        code = answered(client, browser, code_challenge=made)["code"]
        answer = client.redeem(code, code_verifier=verifier)
        assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


class TestBehindApiGateway:
    """RFC 9700, section 4.13: what a client sends itself decides nothing."""

    def begin(self, client: Client, forwarded: dict[str, str], domain: str | None) -> dict[str, Any]:
        import app

        query = {
            "response_type": "code", "client_id": client.id, "redirect_uri": CALLBACK, "scope": SCOPE,
            "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        }  # fmt: skip
        headers = {"Host": "booking.example", **forwarded}
        context = {"httpMethod": "GET", "resourcePath": "/auth/authorize", "path": "/auth/authorize"}
        event = {
            "resource": "/auth/authorize",
            "path": "/auth/authorize",
            "httpMethod": "GET",
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()},
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": context | ({"domainName": domain} if domain else {}),
            "body": None,
            "isBase64Encoded": False,
        }
        answer: dict[str, Any] = app.app(event, None)
        assert answer["statusCode"] == 200
        return answer

    @pytest.mark.parametrize("forwarded", ["http", "https", "x", None])
    @pytest.mark.parametrize("domain", ["booking.example", None])
    def test_cookie_is_as_the_gateway_has_it(
        self, client: Client, forwarded: str | None, domain: str | None
    ) -> None:
        sent = (
            {} if forwarded is None else {"X-Forwarded-Proto": forwarded, "Forwarded": f"proto={forwarded}"}
        )
        cookie = str(self.begin(client, sent, domain)["headers"]["Set-Cookie"])
        assert cookie.startswith("__Host-") is (domain is not None)
        assert cookie.endswith("; Secure") is (domain is not None)


@pytest.fixture(scope="module")
def open_client() -> Iterator[Client]:
    world = World()
    open_provider(world)
    yield Client.registered(world)
    install(None)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    state=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=60),
    nonce=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
)
def test_state_and_nonce_come_back_as_they_were_sent(open_client: Client, state: str, nonce: str) -> None:
    """RFC 6749, section 4.1.2; OpenID Connect Core 1.0, section 2."""
    install(open_client.world.system)
    told = answered(open_client, Browser(open_client.world), state=state, nonce=nonce)
    assert told["state"] == state
    assert claims(open_client.redeem(told["code"]).json["id_token"])["nonce"] == nonce
