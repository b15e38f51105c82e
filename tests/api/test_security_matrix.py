"""Every endpoint x every kind of caller: what each gets, and that nothing is read or written for who is refused."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chalicelib.runtime.system import install
from tests.api.security_matrix import (
    BUSY,
    CALLERS,
    EXISTING,
    FEEDS,
    NAMES,
    NOT_IN_PRODUCTION,
    PUBLIC,
    Caller,
    Cell,
    Endpoint,
    Stage,
    endpoints,
    public_answers,
    revoke,
    row,
    section,
    suspend_partner,
    uuid_of,
    written,
)
from tests.support.oauth import SCOPE, Client, post_form
from tests.support.tokens import with_signature_changed
from tests.support.world import API, BASE_URL, Answer, Broker, outer, seller_id

Rows = Mapping[str, Mapping[str, Cell]]
READS = {"snapshot", "page"}
WHOLE = f"{SCOPE} openactive-ordersfeed"


@pytest.fixture(scope="module")
def rows() -> Rows:
    return {caller.name: row(caller) for caller in CALLERS}


@pytest.fixture(scope="module")
def public() -> Mapping[Endpoint, Mapping[str, int]]:
    return public_answers()


@pytest.fixture
def stage() -> Iterator[Stage]:
    yield Stage()
    install(None)


each_caller = pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)


def test_no_endpoint_is_forgotten() -> None:
    """A new route stands among those that need somebody, or it is said that anybody may call it."""
    unclassified = [
        endpoint
        for endpoint in endpoints()
        if endpoint not in NAMES
        and endpoint[1] not in PUBLIC
        and not endpoint[1].startswith(NOT_IN_PRODUCTION)
    ]
    assert unclassified == []
    assert set(NAMES) <= set(endpoints())


@each_caller
def test_each_gets_the_answer_that_is_right(rows: Rows, caller: Caller) -> None:
    """AUTH-01, AUTH-02, AUTH-06, AUTH-08, AUTH-11, AUTH-12, RATE-01."""
    got = {name: (cell.status, cell.error) for name, cell in rows[caller.name].items()}
    assert got == dict(caller.answers)


@each_caller
def test_nothing_is_read_or_written_for_who_is_refused(rows: Rows, caller: Caller) -> None:
    """Only for one with a Seller of its own is an Order read: to see whose it is."""
    for name, cell in rows[caller.name].items():
        if cell.status < 400:
            continue
        knows_no_order = cell.status in (403, 429) or caller.answers in (
            dict.fromkeys(NAMES.values(), caller.answers["C1"]),
        )
        if knows_no_order or name not in EXISTING:
            assert cell.store_calls == (), name
        assert set(cell.store_calls) <= READS, name
        allowed = {"get", "count"} if caller.answers is BUSY else {"get"}
        assert set(cell.identity_calls) <= allowed, name


@each_caller
def test_tokens_are_told_apart_without_a_call(rows: Rows, caller: Caller) -> None:
    """Keys are known; only an API key, which is no signature, has to be looked up."""
    for name, cell in rows[caller.name].items():
        if "API key" not in caller.name and caller.answers is not BUSY:
            assert cell.identity_calls == (), name


@each_caller
def test_who_is_refused_learns_nothing_but_why(rows: Rows, caller: Caller) -> None:
    for name, cell in rows[caller.name].items():
        assert cell.challenge == _challenge(caller, name, cell), name
        if cell.status >= 400:
            for secret in ("geoff", "eyJ", "Traceback", "sellers/", uuid_of(name)):
                assert secret not in cell.body, name


def _challenge(caller: Caller, name: str, cell: Cell) -> str | None:
    """RFC 9110, section 15.5.2; RFC 6750, section 3."""
    if cell.status != 401:
        return None
    if cell.error == "InvalidAPITokenError":
        return "Bearer"
    if caller.name in (
        "a token without a scope for this API",
        "a token with `openactive-ordersfeed` only",
        "a token with `openactive-openbooking` only",
    ):
        scope = "openactive-ordersfeed" if name in FEEDS else "openactive-openbooking"
        return f'Bearer error="insufficient_scope", scope="{scope}"'
    return 'Bearer error="invalid_token"'


def test_open_endpoints_look_at_no_credentials_of_the_api(
    public: Mapping[Endpoint, Mapping[str, int]],
) -> None:
    """AUTH-01; and what the provider wants, it wants of everyone."""
    assert {path for _, path in public} == set(PUBLIC)
    for endpoint, answers in public.items():
        assert len(set(answers.values())) == 1, endpoint
        expected = 303 if endpoint[1] == "/" else 200
        assert answers["no credentials"] == expected or endpoint[1].startswith("/auth/"), endpoint
        assert answers["no credentials"] < 500


def test_page_is_up_to_date(rows: Rows, public: Mapping[Endpoint, Mapping[str, int]]) -> None:
    """If not: python -m tests.api.security_matrix."""
    assert section(rows, public) == written()


@pytest.mark.parametrize("name", ["Order Status", "Orders feed", "OrderProposals feed"])
def test_head_asks_as_get_does(stage: Stage, name: str) -> None:
    path, _ = stage.request(name)
    broker = Broker(stage.world, None, None)
    bad = with_signature_changed(stage.token)
    for headers, status in (
        ({}, 403),
        ({"Authorization": f"Bearer {bad}"}, 401),
        ({"Authorization": f"Bearer {stage.token}"}, 200),
    ):
        answer = broker.send("HEAD", path, headers=headers)
        assert (answer.status, answer.body) == (status, b"")


class TestPartners:
    """Everything is keyed by the booking partner (AUTH-02)."""

    @pytest.fixture
    def other(self, stage: Stage) -> dict[str, str | None]:
        """A partner with an authorisation of the same Seller."""
        return {"Authorization": f"Bearer {stage.other.authorised(scope=WHOLE)['access_token']}"}

    @pytest.fixture
    def own(self, stage: Stage) -> dict[str, str | None]:
        return {"Authorization": f"Bearer {stage.token}"}

    def test_anothers_order_is_as_one_that_is_not_there(
        self, stage: Stage, other: dict[str, str | None]
    ) -> None:
        """Word for word the same as for a UUID that nobody has."""
        nobodys = "99999999-0000-4000-8000-000000000000"
        for name in EXISTING:
            path, body = stage.request(name)
            verb = next(verb for (verb, _), each in NAMES.items() if each == name)
            broker = Broker(stage.world, None, None)
            anothers = broker.send(verb, path, body, other)
            told = json.loads(json.dumps(body).replace(uuid_of(name), nobodys))
            unknown = broker.send(verb, path.replace(uuid_of(name), nobodys), told, other)
            assert (anothers.status, anothers.body) == (unknown.status, unknown.body), name

    def test_nothing_that_another_does_touches_it(self, stage: Stage, other: dict[str, str | None]) -> None:
        def orders() -> list[Any]:
            return [stage.world.order(uuid_of(name), stage.partner.id) for name in NAMES.values()]

        before = orders()
        assert sum(order is not None for order in before) == len(EXISTING)
        for name in NAMES.values():
            stage.ask(name, other)
        assert orders() == before

    def test_same_uuid_under_two_partners_is_two_orders(
        self, stage: Stage, own: dict[str, str | None], other: dict[str, str | None]
    ) -> None:
        uuid = uuid_of("Order Status")
        path, body = stage.request("B")
        path = path.replace(uuid_of("B"), uuid)
        held = stage.world.held(stage.session)

        def send(verb: str, headers: dict[str, str | None], what: Any = None) -> Answer:
            return Broker(stage.world, None, None).send(verb, path, what, headers)

        before = send("GET", own).body
        made = send("PUT", other, body)
        assert made.status == 201 and made.json["@id"] == f"{BASE_URL}{API}/orders/{uuid}"
        assert stage.world.held(stage.session) == held + 1
        assert send("GET", own).body == before
        assert send("DELETE", other).status == 204
        assert send("GET", other).status == 410
        assert send("GET", own).body == before
        assert stage.world.held(stage.session) == held

    def test_feeds_are_each_partners_own(
        self, stage: Stage, own: dict[str, str | None], other: dict[str, str | None]
    ) -> None:
        """OFEED-01."""
        feed = f"{API}/orders-rpde"
        broker = Broker(stage.world, None, None)
        [item] = broker.send("GET", feed, headers=own).json["items"]
        assert item["id"] == uuid_of("Order Status")
        assert broker.send("GET", feed, headers=other).json["items"] == []
        # Nor does its place in the feed say how much there is.
        assert broker.send("GET", f"{feed}?afterChangeNumber=1", headers=other).json["items"] == []

    def test_idempotent_answers_are_not_handed_to_another(
        self, stage: Stage, own: dict[str, str | None], other: dict[str, str | None]
    ) -> None:
        """B-08: the stored answer belongs to who booked."""
        first = stage.ask("B", own)
        assert stage.ask("B", own).body == first.body
        others = stage.ask("B", other)
        assert others.status == 201
        [item], [others_item] = first.json["orderedItem"], others.json["orderedItem"]
        assert item["@id"] != others_item["@id"]
        assert item.get("accessCode") != others_item.get("accessCode") or "accessCode" not in item

    def test_partner_acts_for_each_seller_with_the_token_of_that_seller(self, stage: Stage) -> None:
        """AUTH-06, AUTH-12: one cannot stand in for the other, both ways round."""
        second = stage.partner.authorised("of-seller-2", WHOLE)["access_token"]
        session = stage.world.session(seller=2)
        path, _ = stage.request("C1")
        broker = Broker(stage.world, None, None)
        body = broker.body(
            "OrderQuote", session.item(), seller={"@type": "Organization", "@id": outer(seller_id(2))}
        )
        answers = [
            broker.send("PUT", path, body, {"Authorization": f"Bearer {token}"}).status
            for token in (second, stage.token)
        ]
        assert answers == [200, 401]

    def test_one_token_serves_many_brokers(self, stage: Stage, own: dict[str, str | None]) -> None:
        """AUTH-04."""
        path, body = stage.request("C1")
        for number in range(3):
            assert body is not None
            broker = {"@type": "Organization", "name": f"Broker {number}"}
            answer = Broker(stage.world, None, None).send("PUT", path, body | {"broker": broker}, own)
            assert answer.status == 200

    def test_token_in_the_body_counts_for_nothing(self, stage: Stage) -> None:
        """AUTH-07."""
        path, body = stage.request("C1")
        assert body is not None
        body = body | {"access_token": stage.token, "broker": body["broker"] | {"token": stage.token}}
        for where in (path, f"{path}?access_token={stage.token}"):
            assert Broker(stage.world, None, None).send("PUT", where, body).status == 403


class TestEnding:
    """What has ended goes on for so long as the token is good, and no longer (AUTH-03)."""

    @pytest.mark.parametrize("end", [revoke, suspend_partner])
    def test_token_ends_and_no_other_is_given(self, stage: Stage, end: Any) -> None:
        refresh = stage.tokens["refresh_token"]
        end(stage)
        assert stage.partner.refresh(refresh).status in (400, 401)
        headers: dict[str, str | None] = {"Authorization": f"Bearer {stage.token}"}
        assert stage.ask("Order Status", headers).status == 200
        stage.world.clock.advance(minutes=15, seconds=30)
        answer = stage.ask("Order Status", headers)
        assert (answer.status, answer.json["@type"]) == (401, "InvalidAuthorizationDetailsError")
        assert stage.partner.refresh(refresh).status in (400, 401)

    def test_key_is_believed_for_five_minutes(self, stage: Stage) -> None:
        headers: dict[str, str | None] = {"X-Api-Key": stage.api_key()}
        assert stage.ask("Order Status", headers).status == 200
        suspend_partner(stage)
        assert stage.ask("Order Status", headers).status == 200
        stage.world.clock.advance(minutes=5)
        assert stage.ask("Order Status", headers).json["@type"] == "InvalidAPITokenError"

    def test_orders_outlive_a_new_secret_and_a_new_authorisation(self, stage: Stage) -> None:
        """AUTH-05."""
        revoke(stage)
        again = stage.partner.authorised(scope=WHOLE)["access_token"]
        assert stage.ask("Order Status", {"Authorization": f"Bearer {again}"}).status == 200


class TestTestInterface:
    PATHS = (
        ("POST", "/actions"),
        ("POST", "/datasets/x/opportunities"),
        ("DELETE", "/datasets/x"),
    )

    @pytest.mark.parametrize(("verb", "path"), PATHS)
    def test_is_not_there_whoever_calls(self, stage: Stage, verb: str, path: str) -> None:
        """TESTIF-07."""
        stage.made.clear()
        for headers in ({}, {"Authorization": f"Bearer {stage.token}"}, {"X-Api-Key": stage.api_key()}):
            where = NOT_IN_PRODUCTION.rstrip("/") + path
            answer = Broker(stage.world, None, None).send(verb, where, {}, headers)
            assert (answer.status, answer.json["@type"]) == (404, "UnknownOrIncorrectEndpointError")
        assert stage.made == []

    @pytest.mark.parametrize(("verb", "path"), [each for each in PATHS if each[0] == "POST"])
    def test_where_it_is_there_somebody_has_to_call(self, stage: Stage, verb: str, path: str) -> None:
        """But to empty a test dataset."""
        stage.world.set(test_interface=True)
        stage.made.clear()
        answer = Broker(stage.world, None, None).send(verb, NOT_IN_PRODUCTION.rstrip("/") + path, {})
        assert answer.status == 403
        assert stage.made == []


def test_nobody_gets_a_token_for_anothers_orders(stage: Stage) -> None:
    """A code or refresh token in the wrong hands needs the right secret as well."""
    thief = Client(stage.world, stage.partner.id, stage.other.secret)
    assert thief.refresh(stage.tokens["refresh_token"]).status == 401
    assert stage.other.refresh(stage.tokens["refresh_token"]).status == 400
    form = {"grant_type": "refresh_token", "refresh_token": stage.tokens["refresh_token"]}
    assert post_form(stage.world, "/auth/token", form | {"client_id": stage.partner.id}, {}).status == 401
