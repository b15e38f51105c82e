"""Login and consent, as the browser of a Seller meets them; and what a foreign page or a thief can do there."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.identity.entries import Authorisation, AuthorisationCode, Login, Partner, SellerStanding
from chalicelib.identity.sign_in import Ticket, write_ticket
from chalicelib.runtime.system import System, install
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.identities import Record
from chalicelib.values import replace
from tests.support.memory import MemoryIdentities
from tests.support.oauth import (
    CALLBACK,
    CHALLENGE,
    ISSUER,
    PASSWORD,
    SCOPE,
    USERNAME,
    Browser,
    Client,
    add_login,
    claims,
    odd_text,
    open_provider,
    post_form,
)
from tests.support.tokens import with_claims
from tests.support.world import Answer, Broker, World, outer, seller_id

SELLER = seller_id(1)
COOKIE = "openbooking-sign-in"


@pytest.fixture
def system(world: World) -> System:
    return open_provider(world)


@pytest.fixture
def client(system: System, world: World) -> Client:
    return Client.registered(world)


@pytest.fixture
def browser(world: World) -> Browser:
    return Browser(world)


def change(system: System, kind: type[Any], key: tuple[str, str], **changes: Any) -> None:
    found = system.register.find(kind, key)
    system.register.save(replace(found, **changes))


def is_page(answer: Answer, status: int, *texts: str) -> None:
    """A page of ours, with what goes with each."""
    assert answer.status == status, (answer.headers.get("Location"), answer.body)
    assert answer.media_type == "text/html; charset=utf-8"
    assert "Location" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy and "script" not in policy
    page = answer.body.decode()
    assert "<script" not in page.lower()
    for text in texts:
        assert text in page


def ticket_in(page: str) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found
    return unescape(found[1])


class TestRequests:
    """RFC 6749, section 4.1.1; OpenID Connect Core 1.0, section 3.1.2."""

    def test_one_in_order_shows_the_login(self, client: Client, browser: Browser) -> None:
        is_page(browser.begin(client), 200, "Log in", "<strong>Broker Ltd</strong>")

    @pytest.mark.parametrize(
        ("parameters", "error"),
        [
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"response_type": "id_token"}, "unsupported_response_type"),
            ({"response_type": "code id_token"}, "unsupported_response_type"),
            ({"response_type": ...}, "unsupported_response_type"),
            ({"code_challenge": ...}, "invalid_request"),
            ({"code_challenge": ""}, "invalid_request"),
            ({"code_challenge": "x"}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge_method": ...}, "invalid_request"),
            ({"code_challenge_method": "s256"}, "invalid_request"),
            ({"scope": "profile email"}, "invalid_scope"),
            ({"prompt": "none"}, "login_required"),
            ({"prompt": "none login"}, "invalid_request"),
        ],
        ids=str,
    )
    def test_partner_is_told_what_is_wrong(
        self, client: Client, browser: Browser, parameters: dict[str, Any], error: str
    ) -> None:
        answer = browser.begin(client, **{"state": "s-1"} | parameters)
        assert answer.status == 303
        told = browser.query(answer)
        assert (told["error"], told["state"]) == (error, "s-1")
        assert "code" not in told

    @pytest.mark.parametrize(
        "parameters",
        [
            {"redirect_uri": "https://evil.example/cb"},
            {"redirect_uri": f"{CALLBACK}/more"},
            {"redirect_uri": f"{CALLBACK}?a=b"},
            {"redirect_uri": CALLBACK.upper()},
            {"redirect_uri": "javascript:alert(1)"},
            {"redirect_uri": "https://["},
            {"redirect_uri": ""},
            {"client_id": "nobody"},
            {"client_id": ...},
            {"client_id": ""},
            {"client_id": "x" * 5000},
            {"state": "a\r\nSet-Cookie: b=c"},
            {"state": "é"},
            {"state": "\x7f"},
            {"nonce": "x" * 17_000},
        ],
        ids=lambda parameters: str(parameters)[:60],
    )
    @pytest.mark.parametrize("also", [{}, {"response_type": "token"}, {"prompt": "none"}, {"scope": "x"}])
    def test_nobody_is_sent_where_no_partner_is(
        self, client: Client, browser: Browser, parameters: dict[str, Any], also: dict[str, str]
    ) -> None:
        """RFC 6749, section 4.1.2.1: no open redirector, whatever else is wrong."""
        answer = browser.begin(client, **parameters, **also)
        if parameters == {"redirect_uri": ""} and answer.status == 303:
            assert answer.headers["Location"].startswith(CALLBACK)  # the only one that is registered
        elif parameters != {"redirect_uri": ""}:
            is_page(answer, 400, "This link does not work")

    def test_suspended_partner_gets_no_further(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        browser.begin(client)
        change(system, Partner, Partner.key_of(client.id), suspended=True)
        is_page(browser.sign_in(), 400)
        is_page(Browser(client.world).begin(client), 400)

    @pytest.mark.parametrize("name", ["client_id", "redirect_uri", "scope", "state", "prompt"])
    def test_duplicate_parameter_is_refused_by_name(self, world: World, client: Client, name: str) -> None:
        """RFC 6749, section 3.1."""
        whole = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": CALLBACK,
            "scope": SCOPE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        query = f"{urlencode(whole)}&{name}=a&{name}=b"
        answer = Broker(world, None, None).send(
            "GET", f"/auth/authorize?{query}", headers={"Content-Type": None}
        )
        is_page(answer, 400, f"Duplicate parameter: {name}.")

    def test_only_place_need_not_be_named(self, client: Client, browser: Browser) -> None:
        browser.begin(client, redirect_uri=...)
        browser.sign_in()
        assert browser.decide("allow").headers["Location"].startswith(f"{CALLBACK}?code=")

    def test_one_of_several_must_be(self, world: World, system: System, browser: Browser) -> None:
        client = Client.registered(world, redirect_uris=[CALLBACK, "https://broker.example/2"])
        is_page(browser.begin(client, redirect_uri=...), 400)

    @pytest.mark.parametrize(
        "state", [None, "s-1", "a b&c=d%20+", "x" * 2000, '{"to":"/basket"}', "a\\b", " ", "~"]
    )
    def test_state_comes_back_as_it_was_sent(
        self, client: Client, browser: Browser, state: str | None
    ) -> None:
        browser.begin(client, **({} if state is None else {"state": state}))
        browser.sign_in()
        assert browser.query(browser.decide("allow")).get("state") == state
        browser.begin(
            client, scope=f"{SCOPE} openactive-ordersfeed", **({} if state is None else {"state": state})
        )
        browser.sign_in()
        assert browser.query(browser.decide("deny")).get("state") == state

    def test_scopes_that_are_not_the_partners_are_left_out(
        self, world: World, system: System, browser: Browser
    ) -> None:
        client = Client.registered(world, scope="openid openactive-openbooking")
        tokens = client.authorised(scope="openid openactive-openbooking openactive-ordersfeed profile")
        assert set(tokens["scope"].split()) == {"openid", "openactive-openbooking"}

    @pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE"])
    def test_other_verbs_are_refused(self, world: World, system: System, verb: str) -> None:
        answer = Broker(world, None, None).send(verb, "/auth/authorize", headers={"Content-Type": None})
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")

    def test_head_is_get_without_a_body(self, world: World, system: System) -> None:
        answer = Broker(world, None, None).send("HEAD", "/auth/authorize", headers={"Content-Type": None})
        assert (answer.status, answer.body) == (400, b"")


class TestSigningIn:
    def test_wrong_password_and_unknown_name_are_told_alike(self, client: Client, world: World) -> None:
        pages = []
        for name, password in (
            (USERNAME, "wrong"),
            ("nobody", PASSWORD),
            ("x" * 3000, PASSWORD),
            (USERNAME, ""),
        ):
            browser = Browser(world)
            browser.begin(client)
            answer = browser.sign_in(name, password)
            is_page(answer, 403, "Wrong user name or password", 'role="alert"')
            pages.append(answer.body.decode().replace(name, "").replace(ticket_in(browser.page), ""))
        assert len(set(pages)) == 1

    def test_suspended_login_is_told_like_a_wrong_one(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        change(system, Login, Login.key_of(USERNAME), suspended=True)
        browser.begin(client)
        is_page(browser.sign_in(), 403, "Wrong user name or password")

    def test_next_try_may_be_right(self, client: Client, browser: Browser) -> None:
        browser.begin(client)
        browser.sign_in(password="wrong")
        is_page(browser.sign_in(), 200, "Allow Broker Ltd?")

    def test_too_many_tries_have_to_wait(self, world: World, client: Client, browser: Browser) -> None:
        browser.begin(client)
        for _ in range(10):
            is_page(browser.sign_in(password="wrong"), 403)
        is_page(browser.sign_in(), 429, "Too many attempts")
        world.clock.advance(minutes=15)
        browser.begin(client)
        is_page(browser.sign_in(), 200)

    def test_an_owner_is_let_in_while_somebody_else_guesses(
        self, world: World, client: Client, browser: Browser
    ) -> None:
        """Both come from one address, as the test client does."""
        browser.begin(client)
        is_page(browser.sign_in(), 200)
        stranger = Browser(world)
        stranger.begin(client)
        for _ in range(10):
            is_page(stranger.sign_in(password="wrong"), 403)
        is_page(stranger.sign_in(), 429, "Too many attempts")
        browser.begin(client)
        is_page(browser.sign_in(), 200)

    def test_right_ones_do_not_count(self, world: World, client: Client) -> None:
        for _ in range(15):
            browser = Browser(world)
            browser.begin(client)
            is_page(browser.sign_in(), 200)

    def test_login_without_a_seller_gets_no_further(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        add_login(system, "sam", ())
        browser.begin(client)
        is_page(browser.sign_in("sam"), 403, "not connected to a seller")
        system.register.save(SellerStanding(SELLER, suspended=True))
        browser.begin(client)
        is_page(browser.sign_in(), 403, "not connected to a seller")

    def test_name_is_kept_and_password_is_not(self, client: Client, browser: Browser) -> None:
        browser.begin(client)
        browser.sign_in(password="a-wrong-password")
        assert f'value="{USERNAME}"' in browser.page and "a-wrong-password" not in browser.page


class TestConsent:
    def test_says_who_asks_for_what_and_for_whom(self, client: Client, browser: Browser) -> None:
        browser.begin(client)
        is_page(
            browser.sign_in(),
            200,
            "Allow Broker Ltd?",
            "https://broker.example",
            "<strong>Kings Mead</strong>",
            "make and cancel bookings",
            "Keep this access",
        )

    def test_is_remembered(self, client: Client, browser: Browser) -> None:
        client.authorised()
        browser.begin(client)
        assert browser.sign_in().status == 303
        browser.begin(client, scope="openid openactive-openbooking")
        assert browser.sign_in().status == 303

    def test_is_asked_again_for_more(self, client: Client, browser: Browser) -> None:
        client.authorised(scope="openid")
        browser.begin(client)
        is_page(browser.sign_in(), 200, "Allow Broker Ltd?")

    def test_is_asked_again_where_the_partner_wants_it(self, client: Client, browser: Browser) -> None:
        """OpenID Connect Core 1.0, section 3.1.2.1."""
        client.authorised()
        browser.begin(client, prompt="consent")
        is_page(browser.sign_in(), 200, "Allow Broker Ltd?")

    def test_is_asked_again_after_a_revocation(
        self, world: World, system: System, client: Client, browser: Browser
    ) -> None:
        old = client.authorised()
        change(system, Authorisation, Authorisation.key_of(client.id, SELLER), revoked_at=world.clock.now)
        browser.begin(client)
        is_page(browser.sign_in(), 200, "Allow Broker Ltd?")
        assert browser.decide("allow").status == 303
        assert client.refresh(old["refresh_token"]).json["error"] == "invalid_grant"

    def test_another_partner_asks_for_itself(self, world: World, client: Client, browser: Browser) -> None:
        client.authorised()
        browser.begin(Client.registered(world, client_name="Other Ltd"))
        is_page(browser.sign_in(), 200, "Allow Other Ltd?")

    @pytest.mark.parametrize("decision", ["deny", "", "ALLOW", "allow "])
    def test_anything_but_allow_is_a_refusal(self, client: Client, browser: Browser, decision: str) -> None:
        browser.begin(client, state="s")
        browser.sign_in()
        answer = browser.decide(decision)
        assert answer.status == 303
        assert browser.query(answer) == {"error": "access_denied", "state": "s", "iss": ISSUER} | (
            {"error_description": browser.query(answer)["error_description"]}
            if "error_description" in browser.query(answer)
            else {}
        )
        assert list(client.world.system.register.all(Authorisation)) == []

    def test_of_several_sellers_one_is_chosen(self, system: System, client: Client, browser: Browser) -> None:
        add_login(system, "sam", (1, 2))
        browser.begin(client)
        answer = browser.sign_in("sam")
        is_page(answer, 200, "Which organisation?")
        for number in (1, 2):
            assert f'value="{outer(seller_id(number))}"' in browser.page
        tokens = client.redeem(browser.code(browser.decide("allow", 2))).json
        assert claims(tokens["access_token"])["https://openactive.io/sellerId"] == outer(seller_id(2))
        assert [each.seller_id for each in system.register.all(Authorisation)] == [seller_id(2)]

    def test_several_sellers_are_asked_about_each_time(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        """A Seller that is remembered would stand in for the other."""
        add_login(system, "sam", (1, 2))
        client.authorised("sam", seller=2)
        browser.begin(client)
        is_page(browser.sign_in("sam"), 200, "Which organisation?")

    @pytest.mark.parametrize("seller", [outer(seller_id(2)), seller_id(2), "", "x", outer(SELLER) + "/"])
    def test_seller_that_is_not_the_logins_is_refused(
        self, system: System, client: Client, browser: Browser, seller: str
    ) -> None:
        browser.begin(client)
        browser.sign_in()
        is_page(browser.submit(decision="allow", seller=seller), 403)
        assert list(system.register.all(Authorisation)) == []
        assert list(system.register.all(AuthorisationCode)) == []

    def test_login_that_was_suspended_meanwhile_allows_nothing(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        browser.begin(client)
        browser.sign_in()
        change(system, Login, Login.key_of(USERNAME), suspended=True)
        is_page(browser.decide("allow"), 403)
        assert list(system.register.all(Authorisation)) == []

    def test_login_that_lost_its_seller_meanwhile_allows_nothing(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        browser.begin(client)
        browser.sign_in()
        change(system, Login, Login.key_of(USERNAME), seller_ids=(seller_id(2),))
        is_page(browser.decide("allow", 1), 403)

    def test_what_the_operator_has_suspended_no_seller_brings_back(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        """The partner is told, instead of a code that is good for nothing."""
        client.authorised()
        change(system, Authorisation, Authorisation.key_of(client.id, SELLER), suspended=True)
        browser.begin(client)
        browser.sign_in()
        assert browser.query(browser.decide("allow"))["error"] == "access_denied"


class TestForeignPages:
    """A form counts only from the browser it was made for, and for a quarter of an hour (CSRF)."""

    def test_form_made_for_another_browser_is_refused(self, world: World, client: Client) -> None:
        thief, victim = Browser(world), Browser(world)
        thief.begin(client)
        victim.begin(client)
        thief.sign_in()
        stolen = {"ticket": ticket_in(thief.page), "decision": "allow", "seller": outer(SELLER)}
        answer = post_form(world, "/auth/authorize", stolen, victim._headers())
        is_page(answer, 400, "has expired")

    def test_without_the_cookie_it_is_refused(self, client: Client, browser: Browser) -> None:
        browser.begin(client)
        browser.cookies.clear()
        is_page(browser.sign_in(), 400, "has expired")

    @pytest.mark.parametrize(
        "cookie", ["", "x", "x" * 101, '"', "é" * 30, "a b" * 10, '"\\012' + "x" * 30 + '"']
    )
    def test_with_another_cookie_it_is_refused(self, client: Client, browser: Browser, cookie: str) -> None:
        browser.begin(client)
        browser.cookies[COOKIE] = cookie
        is_page(browser.sign_in(), 400, "has expired")

    def test_cookies_of_others_on_this_host_do_no_harm(self, client: Client, browser: Browser) -> None:
        browser.begin(client)
        browser.cookies = {"theirs": '{"a": "b, c"}', "[x]": "", **browser.cookies, "last": "\\"}
        is_page(browser.sign_in(), 200)

    @pytest.mark.parametrize(("minutes", "status"), [(15, 200), (16, 400)])
    def test_is_good_for_a_quarter_of_an_hour(
        self, client: Client, browser: Browser, minutes: int, status: int
    ) -> None:
        browser.begin(client)
        client.world.clock.advance(minutes=minutes)
        is_page(browser.sign_in(), status)

    def test_changed_ticket_is_refused(self, client: Client, browser: Browser) -> None:
        browser.begin(client)
        ticket = ticket_in(browser.page)
        for changed in (with_claims(ticket, username=USERNAME), ticket[:-2], "", "x", "x" * 100_000):
            form = {"ticket": changed, "decision": "allow", "seller": outer(SELLER)}
            is_page(post_form(client.world, "/auth/authorize", form, browser._headers()), 400)

    def test_login_cannot_be_passed_over(self, system: System, client: Client, browser: Browser) -> None:
        browser.begin(client)
        is_page(browser.submit(decision="allow", seller=outer(SELLER)), 403)
        assert list(system.register.all(Authorisation)) == []

    def test_token_is_no_ticket(self, client: Client, browser: Browser) -> None:
        tokens = client.authorised()
        browser.begin(client)
        for token in (tokens["access_token"], tokens["id_token"]):
            is_page(post_form(client.world, "/auth/authorize", {"ticket": token}, browser._headers()), 400)

    def test_what_was_asked_for_is_looked_at_again_at_each_step(
        self, system: System, client: Client, browser: Browser
    ) -> None:
        """A ticket of before the partner gave up that place to come back to."""
        browser.begin(client)
        change(system, Partner, Partner.key_of(client.id), redirect_uris=("https://broker.example/new",))
        is_page(browser.sign_in(), 400)

    def test_ticket_of_somebody_who_was_removed_is_refused(
        self, world: World, system: System, client: Client, browser: Browser
    ) -> None:
        browser.begin(client)
        parameters = {
            "response_type": "code", "client_id": client.id, "redirect_uri": CALLBACK, "scope": SCOPE,
            "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        }  # fmt: skip
        ticket = write_ticket(
            Ticket(parameters, "removed"), browser.cookies[COOKIE], system.keys, world.clock.now
        )
        form = {"ticket": ticket, "decision": "allow", "seller": outer(SELLER)}
        is_page(post_form(world, "/auth/authorize", form, browser._headers()), 403)

    @pytest.mark.parametrize(
        ("name", "shown"),
        [("username", "Duplicate parameter: username."), ('"\n<é>', "Duplicate parameter.")],
    )
    def test_duplicate_field_is_refused_by_name(
        self, world: World, client: Client, browser: Browser, name: str, shown: str
    ) -> None:
        browser.begin(client)
        twice = f"{quote(name)}=a&{quote(name)}=b"
        body = f"ticket={quote(ticket_in(browser.page))}&{twice}&password={PASSWORD}"
        answer = Broker(world, None, None).send(
            "POST",
            "/auth/authorize",
            body.encode(),
            {"Content-Type": "application/x-www-form-urlencoded", **browser._headers()},
        )
        is_page(answer, 400, shown)


class UnwillingIdentities(MemoryIdentities):
    """Identities that cannot be read once there is an error to fail with."""

    error: Exception | None = None

    def get(self, principal: str, part: str) -> Record | None:
        if self.error is not None:
            raise self.error
        return super().get(principal, part)


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (StoreBusy("throttled"), 503, "The service is busy"),
        (ZeroDivisionError("secret"), 500, "Something went wrong"),
    ],
)
def test_fault_of_ours_is_a_page_too(error: Exception, status: int, title: str) -> None:
    identities = UnwillingIdentities()
    world = World(identities=identities)
    open_provider(world)
    client, browser = Client.registered(world), Browser(world)
    browser.begin(client)
    identities.error = error
    answer = browser.sign_in()
    is_page(answer, status, f"<h1>{title}</h1>", "Need help?")
    assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)
    assert b"secret" not in answer.body
    install(None)


def test_whom_to_ask_is_a_setting(world: World, client: Client, browser: Browser) -> None:
    for changes, shown in (
        ({}, "Contact the operator of this booking system."),
        ({"publisher_email": "data@kings.example"}, "data@kings.example</a>."),
        ({"service_support": "help@kings.example"}, "help@kings.example</a>."),
    ):
        world.system.settings = replace(world.system.settings, **changes)
        is_page(browser.begin(client), 200, "Need help? Contact ", shown)


class TestHeaders:
    def test_form_may_go_to_us_and_back_to_the_partner_only(self, client: Client, browser: Browser) -> None:
        for answer in (browser.begin(client), browser.sign_in()):
            policy = answer.headers["Content-Security-Policy"]
            assert policy.endswith("; form-action 'self' https://broker.example")

    def test_page_of_trouble_has_no_form(self, browser: Browser, system: System) -> None:
        assert browser.begin("nobody").headers["Content-Security-Policy"].endswith("form-action 'none'")

    def test_cookie_is_for_us_alone(self, client: Client, browser: Browser) -> None:
        name, *flags = browser.begin(client).headers["Set-Cookie"].split("; ")
        assert name.startswith(f"{COOKIE}=")
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(flags) and "Secure" not in flags

    def test_over_https_the_cookie_never_leaves_it(self, world: World, system: System) -> None:
        client = Client.registered(world)
        world.set(base_url="https://booking.example")
        open_browser = Browser(world)
        system = world.system
        system.keys.make_key = client.world.system.keys.make_key
        name, *flags = open_browser.begin(client).headers["Set-Cookie"].split("; ")
        assert name.startswith(f"__Host-{COOKIE}=")
        assert {"HttpOnly", "SameSite=Lax", "Path=/", "Secure"} <= set(flags)
        assert not any(flag.startswith("Domain") for flag in flags)  # or the prefix would not count
        open_browser.cookies = {COOKIE: open_browser.cookies[f"__Host-{COOKIE}"]}
        is_page(open_browser.sign_in(), 400)  # one without the prefix may be anybody's

    def test_browser_keeps_its_cookie(self, client: Client, browser: Browser) -> None:
        browser.begin(client)
        before = dict(browser.cookies)
        browser.sign_in()
        assert browser.cookies == before


EVIL = "<script>alert(1)</script>\"'&"


class TestEscaping:
    @pytest.fixture
    def evil(self, world: World, system: System) -> Client:
        return Client.registered(world, client_name=EVIL, client_uri="https://a.example/?<script>'\"")

    def test_names_of_partners_are_text(self, evil: Client, browser: Browser) -> None:
        is_page(browser.begin(evil), 200, "&lt;script&gt;alert(1)")
        is_page(browser.sign_in(), 200, "&lt;script&gt;alert(1)")

    def test_names_of_sellers_are_text(self, world: World, client: Client, browser: Browser) -> None:
        world.sell(1, name=EVIL)
        browser.begin(client)
        is_page(browser.sign_in(), 200, "&lt;script&gt;alert(1)")

    def test_what_was_typed_is_text(self, client: Client, browser: Browser) -> None:
        browser.begin(client)
        is_page(browser.sign_in(EVIL, EVIL), 403, "&lt;script&gt;alert(1)")

    @pytest.mark.parametrize("name", ["redirect_uri", "client_id", "response_type", "scope"])
    def test_what_stands_in_the_link_is_text(self, client: Client, browser: Browser, name: str) -> None:
        answer = browser.begin(client, **{name: "<script>alert(1)</script>"} if name != "client_id" else {})
        assert b"<script" not in answer.body
        assert "<script" not in answer.headers.get("Location", "")


odd = odd_text(CALLBACK, EVIL, "S256")
PARAMETERS = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "display",
    "ui_locales",
    "id_token_hint",
    "login_hint",
    "acr_values",
    "response_mode",
    "request",
    "request_uri",
    "claims",
]


@pytest.fixture(scope="module")
def open_client() -> Iterator[Client]:
    world = World()
    open_provider(world)
    yield Client.registered(world)
    install(None)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(parameters=st.dictionaries(st.sampled_from(PARAMETERS) | odd, odd, max_size=5), known=st.booleans())
def test_any_link_is_answered(open_client: Client, parameters: dict[str, str], known: bool) -> None:
    """A page or the way back to the partner; never a fault of ours, and never a way to anywhere else."""
    install(open_client.world.system)
    whole: dict[str, Any] = parameters if known else {"client_id": ..., "redirect_uri": ..., **parameters}
    try:
        answer = Browser(open_client.world).begin(open_client, **whole)
    except TypeError:  # a parameter that the browser itself takes
        return
    assert answer.status in (200, 303, 400), answer.body
    if answer.status == 303:
        assert answer.headers["Location"].startswith(f"{CALLBACK}?")
        assert "\n" not in answer.headers["Location"]
    else:
        is_page(answer, answer.status)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    fields=st.dictionaries(
        st.sampled_from(["ticket", "username", "password", "decision", "seller"]) | odd, odd, max_size=5
    ),
    steps=st.integers(0, 1),
    cookie=st.none() | odd,
)
def test_any_form_is_answered(
    open_client: Client, fields: dict[str, str], steps: int, cookie: str | None
) -> None:
    install(open_client.world.system)
    browser = Browser(open_client.world)
    open_client.world.clock.advance(minutes=1)
    browser.begin(open_client)
    if steps:
        browser.sign_in()
    if cookie is not None:
        browser.cookies[COOKIE] = (
            cookie.encode("ascii", "replace").decode().replace("\r", "").replace("\n", "")
        )
    try:
        answer = browser.submit(**fields)
    except TypeError:
        return
    assert answer.status in (303, 400, 403, 429), answer.body
    assert answer.status != 303 or "error=access_denied" in answer.headers["Location"]
