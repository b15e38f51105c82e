"""Calls every endpoint with every kind of credentials: the answers, and what was read and written for them.

`python -m tests.api.security_matrix` writes the table in docs/security.md; a test fails where it is out of date.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import app
from chalicelib.api.streams import orders_changed
from chalicelib.booking.seller import notify_customer
from chalicelib.domain.orders import OrderKey
from chalicelib.identity.callers import make_api_key
from chalicelib.identity.entries import ApiKey, Authorisation, Partner
from chalicelib.identity.hashing import digest
from chalicelib.identity.sign_in import Ticket, write_ticket
from chalicelib.identity.tokens import ACCESS_TOKEN, Signer
from chalicelib.runtime.system import System, install
from chalicelib.values import replace
from openbooking.reference.pages import ENDPOINTS
from tests.support.builders import CUSTOMER
from tests.support.memory import MemoryFeeds, MemoryIdentities, MemoryStore
from tests.support.oauth import SCOPE, Client, add_login, open_provider
from tests.support.tokens import (
    foreign_key,
    parts,
    signed_by_another,
    signed_with_public_key,
    unsigned,
    with_claims,
    with_header,
    with_signature_changed,
)
from tests.support.world import API, BASE_URL, PAYMENT, Answer, Broker, World, order_record, outer, seller_id

Json = dict[str, Any]
Headers = dict[str, str | None]
Endpoint = tuple[str, str]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- made by python -m tests.api.security_matrix -->", "<!-- until here -->"

APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}

# --- the endpoints ----------------------------------------------------------------------------

# Public routes. A route that is neither here nor in NAMES fails the tests: decide who may call it.
PUBLIC: dict[str, tuple[str, str]] = {
    "/feeds/{name}": ("/feeds/scheduled-sessions", "open data (AUTH-01)"),
    "/openactive": ("/openactive", "open data (AUTH-01)"),
    "/": ("/", "redirects to the dataset site"),
    "/favicon.svg": ("/favicon.svg", "the icon of every page"),
    "/favicon.ico": ("/favicon.ico", "the icon of every page"),
    "/api/passes/{file}": ("/api/passes/ABCDEFGH2345.svg", "the link is the pass"),
    "/auth/.well-known/openid-configuration": (
        "/auth/.well-known/openid-configuration",
        "public metadata of the provider",
    ),
    "/auth/jwks": ("/auth/jwks", "public keys of the provider"),
    "/auth/authorize": ("/auth/authorize", "requires the Seller's login"),
    "/auth/token": ("/auth/token", "requires the partner's secret"),
    "/auth/register": ("/auth/register", "requires an initial access token"),
    "/auth/revoke": ("/auth/revoke", "requires the partner's secret"),
}

# Only where TEST_INTERFACE is on, which it cannot be in production; elsewhere there is no such endpoint.
NOT_IN_PRODUCTION = "/api/openbooking/test-interface/"

NAMES: dict[Endpoint, str] = {
    each: name
    for each, name in ENDPOINTS.items()
    if each[1] not in PUBLIC and not each[1].startswith(NOT_IN_PRODUCTION)
}
FEEDS = ("Orders feed", "OrderProposals feed")
BOOKING = tuple(name for name in NAMES.values() if name not in FEEDS)
# What needs an Order that is there; the others make one, or are about a whole feed.
EXISTING = (
    "OrderQuote Deletion",
    "OrderProposal Update",
    "Order Status",
    "Order Cancellation",
    "Order Deletion",
)


OF_ANY_ORIGIN = ("/", "/openactive", "/feeds/{name}")


def endpoints() -> Iterator[Endpoint]:
    """Every verb of every route of the app, as it says itself when it is asked with a wrong one."""
    world = World()
    open_provider(world)
    for path in app.app.routes:
        wrong = Broker(world, None, None).send(
            "OPTIONS", path.replace("{uuid}", uuid_of("C1")), headers={"Content-Type": None}
        )
        # What any website may read answers OPTIONS, and everything else refuses it.
        assert wrong.status == (204 if path in OF_ANY_ORIGIN else 405), path
        for verb in wrong.headers["Allow"].split(", "):
            if path not in OF_ANY_ORIGIN or verb == "GET":
                yield verb, path


def uuid_of(name: str) -> str:
    """Each endpoint has an Order UUID of its own, so that none is in another's way."""
    number = list(NAMES.values()).index(name) + 1
    return f"{number:08d}-0000-4000-8000-000000000000"


# --- the installation -------------------------------------------------------------------------


class Counting:
    """A store that notes which of its methods are called."""

    def __init__(self, inner: Any, made: list[str]) -> None:
        self._inner, self._made = inner, made

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def noted(*args: Any, **kwargs: Any) -> Any:
            self._made.append(name)
            return value(*args, **kwargs)

        return noted


@dataclass
class Stage:
    """An installation in which `partner` has one of everything with Seller 1, and there are others."""

    made: list[str] = field(default_factory=list)
    identity_made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = self.world = World(
            store=Counting(MemoryStore(), self.made),
            feeds=Counting(MemoryFeeds(), self.made),
            identities=Counting(MemoryIdentities(), self.identity_made),
        )
        open_provider(world)
        system = world.system
        add_login(system, "of-seller-2", (2,))
        self.partner, self.other = Client.registered(world), Client.registered(world)
        self.tokens = self.partner.authorised(scope=f"{SCOPE} openactive-ordersfeed")
        for number in (1, 2):
            system.register.save(
                ApiKey(digest(self.api_key(number)), self.partner.id, seller_id(number), world.clock.now)
            )
        self.session, self.approved = world.session(spaces=100), world.session(spaces=100, offer=APPROVAL)
        self._fill()
        self.only("openid,api-keys")

    def only(self, authentication: str, **settings: Any) -> None:
        """Take no other credentials; and know the keys already, as a process does that has served before."""
        make_key = self.system.keys.make_key
        self.world.set(authentication=authentication, **settings)
        self.system.keys.make_key = make_key
        self.system.keys.public()

    def api_key(self, seller: int = 1) -> str:
        return make_api_key(f"key-of-seller-{seller}")

    @property
    def system(self) -> System:
        return self.world.system

    @cached_property
    def token(self) -> str:
        return str(self.tokens["access_token"])

    def _fill(self) -> None:
        broker, item = Broker(self.world, self.partner.id, 1), self.session.item()
        assert broker.c2(uuid_of("OrderQuote Deletion"), item).status == 200
        for name in ("Order Status", "Order Cancellation", "Order Deletion"):
            self.item_id = broker.b(uuid_of(name), item).json["orderedItem"][0]["@id"]
        path, body = self.request("P")
        path = path.replace(uuid_of("P"), uuid_of("OrderProposal Update"))
        assert broker.send("PUT", path, body).status == 201
        self._publish("Order Status")

    def _publish(self, name: str) -> None:
        """The Seller does something with it, so that it stands in the feed."""
        key, now = OrderKey(self.partner.id, uuid_of(name)), self.world.clock.now
        self.world.system.attempts.carry_out_on_order(
            key, lambda snapshot: notify_customer(snapshot, "x"), now
        )
        order = self.world.order(key.uuid, key.partner_id)
        assert order is not None
        orders_changed([order_record(order)])

    def request(self, name: str) -> tuple[str, Json | None]:
        """Path and body that this endpoint accepts from the partner."""
        path = next(path for (_, path), each in NAMES.items() if each == name)
        path = path.replace("{uuid}", uuid_of(name))
        usual = {
            "customer": CUSTOMER,
            "payment": PAYMENT,
            "totalPaymentDue": {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"},
        }
        broker = Broker(self.world)
        match name:
            case "C1":
                return path, broker.body("OrderQuote", self.session.item())
            case "C2":
                return path, broker.body("OrderQuote", self.session.item(), customer=CUSTOMER)
            case "B":
                return path, broker.body("Order", self.session.item(), **usual)
            case "P":
                return path, broker.body("OrderProposal", self.approved.item(), **usual)
            case "OrderProposal Update":
                return path, {
                    "@type": "OrderProposal",
                    "orderProposalStatus": "https://openactive.io/CustomerRejected",
                }
            case "Order Cancellation":
                item_id = re.sub(r"/orders/[^#]*", f"/orders/{uuid_of(name)}", self._item_of(name))
                cancelled = "https://openactive.io/CustomerCancelled"
                item = {"@type": "OrderItem", "@id": item_id, "orderItemStatus": cancelled}
                return path, {"@type": "Order", "orderedItem": [item]}
        return path, None

    def _item_of(self, name: str) -> str:
        order: Any = self.world.order(uuid_of(name), self.partner.id)
        return f"{BASE_URL}{API}/orders/{uuid_of(name)}#/orderedItem/{order.items[0].id}"

    def ask(self, name: str, headers: Mapping[str, str | None]) -> Answer:
        verb = next(verb for (verb, _), each in NAMES.items() if each == name)
        path, body = self.request(name)
        self.made.clear()
        self.identity_made.clear()
        return Broker(self.world, None, None).send(verb, path, body, headers)

    def signed(self, kind: str = ACCESS_TOKEN, **changes: Any) -> str:
        """The partner's good token with other claims, signed by us."""
        claims = parts(self.token)[1] | changes
        given = {name: each for name, each in claims.items() if each is not ...}
        return self.system.keys.signer().sign(given, kind)

    def foreign(self) -> str:
        """The same claims, of an issuer that is not asked here."""
        jwk, pem = foreign_key()
        return Signer(jwk["kid"], pem).sign(
            parts(self.token)[1] | {"iss": "https://login.example"}, ACCESS_TOKEN
        )

    def change(self, kind: type[Any], key: tuple[str, str], **changes: Any) -> None:
        found = self.system.register.find(kind, key)
        self.system.register.save(replace(found, **changes))


# --- the callers ------------------------------------------------------------------------------

Answers = Mapping[str, tuple[int, str | None]]


def everywhere(status: int, error: str) -> Answers:
    return dict.fromkeys(NAMES.values(), (status, error))


NOBODY = everywhere(403, "UnauthenticatedError")
NO_KEY = everywhere(403, "NoAPITokenError")
BAD_KEY = everywhere(401, "InvalidAPITokenError")
REFUSED = everywhere(401, "InvalidAuthorizationDetailsError")
BUSY = everywhere(429, "TooManyRequestsError")
RIGHT: Answers = {
    "C1": (200, None),
    "C2": (200, None),
    "OrderQuote Deletion": (204, None),
    "P": (201, None),
    "OrderProposal Update": (204, None),
    "B": (201, None),
    "Order Status": (200, None),
    "Order Cancellation": (204, None),
    "Order Deletion": (204, None),
    "Orders feed": (200, None),
    "OrderProposals feed": (200, None),
}
UNKNOWN = (404, "UnknownOrderError")
OTHER_PARTNER = RIGHT | dict.fromkeys(EXISTING, UNKNOWN) | {"OrderQuote Deletion": (204, None)}
FEEDS_ONLY = REFUSED | {name: RIGHT[name] for name in FEEDS}
BOOKING_ONLY = REFUSED | {name: RIGHT[name] for name in BOOKING}


@dataclass(frozen=True)
class Caller:
    """Somebody who calls: as the table has it, the headers, and the answers that are right."""

    name: str
    headers: Callable[[Stage], Headers]
    answers: Answers
    prepare: Callable[[Stage], None] = lambda stage: None


def bearer(token: Callable[[Stage], str]) -> Callable[[Stage], Headers]:
    return lambda stage: {"Authorization": f"Bearer {token(stage)}"}


def key(secret: Callable[[Stage], str]) -> Callable[[Stage], Headers]:
    return lambda stage: {"X-Api-Key": secret(stage)}


def public_key(stage: Stage) -> Json:
    return stage.system.keys.public()[0]


def suspend_partner(stage: Stage) -> None:
    stage.change(Partner, Partner.key_of(stage.partner.id), suspended=True)


def revoke(stage: Stage) -> None:
    found = Authorisation.key_of(stage.partner.id, seller_id(1))
    stage.change(Authorisation, found, revoked_at=stage.world.clock.now)


def end_key(stage: Stage) -> None:
    stage.change(ApiKey, ApiKey.key_of(digest(stage.api_key())), ends_at=stage.world.clock.now)


def use_up(stage: Stage) -> None:
    stage.only("openid,api-keys", rate_limits=f"{stage.partner.id}=1")
    assert stage.ask("Orders feed", {"Authorization": f"Bearer {stage.token}"}).status == 200


def now(stage: Stage) -> int:
    return int(stage.world.clock.now.timestamp())


CALLERS = (
    Caller("no credentials", lambda stage: {}, NOBODY),
    Caller(
        "development headers, which are not enabled",
        lambda stage: {
            "X-OpenActive-Test-Client-Id": stage.partner.id,
            "X-OpenActive-Test-Seller-Id": outer(seller_id(1)),
        },
        NOBODY,
    ),
    Caller("another scheme than Bearer", lambda stage: {"Authorization": "Basic cGFydG5lcjpzZWNyZXQ="}, REFUSED),
    Caller("the right token with the scheme `DPoP`", lambda stage: {"Authorization": f"DPoP {stage.token}"}, REFUSED),
    Caller("no scheme at all", lambda stage: {"Authorization": stage.token}, REFUSED),
    Caller("an empty token", bearer(lambda stage: ""), REFUSED),
    Caller("garbage", bearer(lambda stage: "not.a.token"), REFUSED),
    Caller("a token that has expired", bearer(lambda stage: stage.signed(exp=now(stage) - 31)), REFUSED),
    Caller("a token that is not valid yet", bearer(lambda stage: stage.signed(nbf=now(stage) + 31)), REFUSED),
    Caller("a token without an expiry", bearer(lambda stage: stage.signed(exp=...)), REFUSED),
    Caller("changed claims", bearer(lambda stage: with_claims(stage.token, client_id="x")), REFUSED),
    Caller("a changed signature", bearer(lambda stage: with_signature_changed(stage.token)), REFUSED),
    Caller("a signature of another key with our key id", bearer(lambda stage: signed_by_another(stage.token)), REFUSED),
    Caller("`alg: none`", bearer(lambda stage: unsigned(stage.token)), REFUSED),
    Caller(
        "`HS256` with our public key as the secret",
        bearer(lambda stage: signed_with_public_key(stage.token, public_key(stage))),
        REFUSED,
    ),
    Caller("an unknown key id", bearer(lambda stage: with_header(stage.token, kid="of-nobody")), REFUSED),
    Caller("an ID token", bearer(lambda stage: str(stage.tokens["id_token"])), REFUSED),
    Caller("a refresh token", bearer(lambda stage: str(stage.tokens["refresh_token"])), REFUSED),
    Caller(
        "the ticket of a login form",
        bearer(
            lambda stage: write_ticket(
                Ticket({}, "alex"), "browser", stage.system.keys, stage.world.clock.now
            )
        ),
        REFUSED,
    ),
    Caller("a token of another issuer", bearer(Stage.foreign), REFUSED),
    Caller(
        "a token with another issuer in its claims",
        bearer(lambda stage: stage.signed(iss="https://login.example")),
        REFUSED,
    ),
    Caller(
        "a token for another audience", bearer(lambda stage: stage.signed(aud="https://other.example")), REFUSED
    ),
    Caller("a token without a partner", bearer(lambda stage: stage.signed(**{
        "https://openactive.io/clientId": ...})), REFUSED),
    Caller("an empty API key", key(lambda stage: ""), NO_KEY),
    Caller("no credentials, if only API keys are enabled", lambda stage: {}, NO_KEY, lambda stage: stage.only("api-keys")),
    Caller("a token, if only API keys are enabled", bearer(lambda stage: stage.token), REFUSED, lambda stage: stage.only("api-keys")),
    Caller("a wrong API key", key(lambda stage: stage.api_key()[:-1]), BAD_KEY),
    Caller("an API key that was never issued", key(lambda stage: make_api_key("of-nobody")), BAD_KEY),
    Caller("an expired API key", key(Stage.api_key), BAD_KEY, end_key),
    Caller("the API key of a suspended partner", key(Stage.api_key), BAD_KEY, suspend_partner),
    Caller("the right token, after too many requests", bearer(lambda stage: stage.token), BUSY, use_up),
    Caller(
        "a token without a scope for this API", bearer(lambda stage: stage.signed(scope="openid offline_access")), REFUSED
    ),
    Caller("a token with `openactive-ordersfeed` only", bearer(lambda stage: stage.partner.feed_token()), FEEDS_ONLY),
    Caller(
        "a token with `openactive-openbooking` only",
        bearer(lambda stage: stage.signed(scope="openactive-openbooking")),
        BOOKING_ONLY,
    ),
    Caller("a token without a Seller", bearer(lambda stage: stage.signed(**{"https://openactive.io/sellerId": ...})), FEEDS_ONLY),
    Caller(
        "a token for another Seller",
        bearer(
            lambda stage: str(
                stage.partner.authorised("of-seller-2", f"{SCOPE} openactive-ordersfeed")["access_token"]
            )
        ),
        FEEDS_ONLY,
    ),
    Caller("an API key for another Seller", key(lambda stage: stage.api_key(2)), FEEDS_ONLY),
    Caller("an API key whose Seller has revoked it", key(Stage.api_key), FEEDS_ONLY, revoke),
    Caller(
        "a token of another partner",
        bearer(
            lambda stage: str(stage.other.authorised(scope=f"{SCOPE} openactive-ordersfeed")["access_token"])
        ),
        OTHER_PARTNER,
    ),
    Caller("a token that is still valid after the revocation", bearer(lambda stage: stage.token), RIGHT, revoke),
    Caller("a token that is still valid after the suspension of its partner", bearer(lambda stage: stage.token), RIGHT, suspend_partner),
    Caller("the right API key", key(Stage.api_key), RIGHT),
    Caller("the right token", bearer(lambda stage: stage.token), RIGHT),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """What one caller gets at one endpoint, and what was called for it."""

    status: int
    error: str | None
    challenge: str | None
    body: str
    store_calls: tuple[str, ...]
    identity_calls: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.status} `{self.error}`" if self.error else str(self.status)


def row(caller: Caller) -> dict[str, Cell]:
    """Everything that a caller gets; on a stage of its own, because it may do all this."""
    stage = Stage()
    try:
        headers = caller.headers(stage)
        caller.prepare(stage)
        return {name: _cell(stage, name, headers) for name in NAMES.values()}
    finally:
        install(None)


def _cell(stage: Stage, name: str, headers: Headers) -> Cell:
    answer = stage.ask(name, headers)
    return Cell(
        answer.status,
        answer.json["@type"] if answer.status >= 400 else None,
        answer.headers.get("WWW-Authenticate"),
        answer.body.decode(),
        tuple(stage.made),
        tuple(stage.identity_made),
    )


def public_answers() -> dict[Endpoint, dict[str, int]]:
    """What the endpoints that are open to everyone say to somebody, whoever it is."""
    open_to_all = [(verb, path) for verb, path in endpoints() if path in PUBLIC]
    stage = Stage()
    credentials: dict[str, Headers] = {
        "no credentials": {},
        "garbage": {"Authorization": "Bearer not.a.token"},
        "the right token": {"Authorization": f"Bearer {stage.token}"},
    }
    form = "application/x-www-form-urlencoded"
    try:
        return {
            (verb, path): {
                who: Broker(stage.world, None, None)
                .send(
                    verb,
                    PUBLIC[path][0],
                    b"{}" if verb == "POST" else None,
                    {
                        "Content-Type": None
                        if verb == "GET"
                        else "application/json"
                        if path.endswith("register")
                        else form,
                        **headers,
                    },
                )
                .status
                for who, headers in credentials.items()
            }
            for verb, path in open_to_all
        }
    finally:
        install(None)


# --- the page ---------------------------------------------------------------------------------


def section(rows: Mapping[str, Mapping[str, Cell]], public: Mapping[Endpoint, Mapping[str, int]]) -> str:
    """The tables, from what was measured."""
    refused = {who: cells for who, cells in rows.items() if len(set(map(str, cells.values()))) == 1}
    others = {who: cells for who, cells in rows.items() if who not in refused}
    lines = [
        "Refused at every endpoint of the booking API and both feeds of a partner, before any Order, Opportunity "
        "or feed is read:",
        "",
        "| Credentials | Answer |",
        "|---|---|",
        *(f"| {who} | {next(iter(cells.values()))} |" for who, cells in refused.items()),
        "",
        "With valid credentials the answer depends on the endpoint. Every request would succeed with the right token; "
        "its Order, if it has one, is the partner's with Seller 1.",
        "",
        f"| Credentials | {' | '.join(NAMES.values())} |",
        f"|---|{'---|' * len(NAMES)}",
        *(f"| {who} | {' | '.join(map(_short, cells.values()))} |" for who, cells in others.items()),
        "",
        "401 is `InvalidAuthorizationDetailsError`, 404 `UnknownOrderError`. Another partner's 200, 201 and 204 "
        "are about its own Orders with the same UUID, and its own feeds; OrderQuote Deletion always answers 204. "
        "After the Seller has revoked the authorisation or the partner was suspended, a partner gets no new access "
        "token; an existing one expires within 15 minutes.",
        "",
        "Public endpoints; they ignore credentials, or use others than those above:",
        "",
        "| Endpoint | Why | Answer without credentials |",
        "|---|---|---|",
        *(f"| {verb} `{path}` | {PUBLIC[path][1]} | {answers['no credentials']} |" for (verb, path), answers in public.items()),
        "",
        f"`{NOT_IN_PRODUCTION}...` exists only with TEST_INTERFACE, which is refused in production; otherwise it "
        "answers 404.",
    ]  # fmt: skip
    return "\n".join(lines)


def _short(cell: Cell) -> str:
    assert cell.error in (None, "InvalidAuthorizationDetailsError", "UnknownOrderError"), cell
    return str(cell.status)


def written() -> str:
    """What stands on the page now."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return rest.partition(END)[0].strip()


def main() -> None:
    """Write the section."""
    made = section({caller.name: row(caller) for caller in CALLERS}, public_answers())
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(PAGE.name)


if __name__ == "__main__":
    main()
