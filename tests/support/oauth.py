"""A booking partner that speaks OpenID Connect, and the browser of the Seller who allows it to act."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from hypothesis import strategies as st

from chalicelib.identity.entries import Key, Login, Partner
from chalicelib.identity.passwords import Passwords
from chalicelib.runtime.system import System
from chalicelib.services.invitations import new_invitation
from chalicelib.services.logins import new_login
from chalicelib.services.partners import new_partner
from chalicelib.values import replace
from tests.support.tokens import quick_key
from tests.support.world import BASE_URL, HOST, Answer, Json, World, outer, seller_id

CALLBACK = "https://broker.example/cb"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPE = "openid openactive-openbooking offline_access openactive-identity"
USERNAME, PASSWORD = "alex@kings.example", "correct horse battery staple"

# Slow hashes are for attackers.
CHEAP = Passwords(log2_n=4, r=1, p=1)


def open_provider(world: World, **settings: Any) -> System:
    """The installation with its own provider, and a login for Seller 1."""
    world.set(authentication="openid,headers", **settings)
    system = world.system
    system.passwords = CHEAP
    system.keys.make_key = quick_key
    add_login(system)
    return system


def add_login(system: System, username: str = USERNAME, sellers: tuple[int, ...] = (1,)) -> Login:
    login = new_login(
        system.new_id(),
        username,
        CHEAP.hash(PASSWORD),
        [seller_id(number) for number in sellers],
        system.now(),
    )
    return system.register.save(login)


def add_partner(system: System, name: str, secret: str, partner_id: str, **details: Any) -> Partner:
    """A booking partner whose secret is known. Raises RecordChanged where the id is taken."""
    return system.register.save(new_partner(partner_id, name, secret, system.now(), **details))


def change(system: System, kind: type[Any], key: Key, **changes: Any) -> None:
    """What the operator's commands do."""
    found = system.register.find(kind, key)
    assert found is not None
    system.register.save(replace(found, **changes))


def invite(system: System, secret: str = "invitation-secret", uses: int | None = 1) -> str:
    """An initial access token."""
    system.register.save(new_invitation(secret, "a test", system.now(), uses=uses))
    return secret


@dataclass
class Client:
    """A registered partner."""

    world: World
    id: str
    secret: str

    @classmethod
    def registered(cls, world: World, token: str | None = None, **metadata: Any) -> "Client":
        system = world.system
        answer = register(world, token or invite(system, f"invitation-{system.new_id()}"), **metadata)
        assert answer.status == 201, answer.body
        return cls(world, answer.json["client_id"], answer.json["client_secret"])

    def tokens(self, **form: str) -> Answer:
        """The token endpoint, with this client's secret."""
        basic = base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
        return post_form(self.world, "/auth/token", form, {"Authorization": f"Basic {basic}"})

    def feed_token(self) -> str:
        answer = self.tokens(grant_type="client_credentials", scope="openactive-ordersfeed")
        assert answer.status == 200, answer.body
        return str(answer.json["access_token"])

    def redeem(self, code: str, **form: str) -> Answer:
        whole = {"redirect_uri": CALLBACK, "code_verifier": VERIFIER, **form}
        return self.tokens(grant_type="authorization_code", code=code, **whole)

    def refresh(self, token: str) -> Answer:
        return self.tokens(grant_type="refresh_token", refresh_token=token)

    def authorised(self, username: str = USERNAME, scope: str = SCOPE, seller: int | None = None) -> Json:
        """What the token endpoint gives after somebody has logged in and agreed."""
        browser = Browser(self.world)
        answer = browser.begin(self, scope=scope)
        answer = browser.sign_in(username)
        if answer.status == 200:
            answer = browser.decide("allow", seller)
        assert answer.status == 303, answer.body
        answer = self.redeem(browser.code(answer))
        assert answer.status == 200, answer.body
        return answer.json


def register(world: World, token: str | None, /, **metadata: Any) -> Answer:
    """Dynamic client registration."""
    document = {
        "client_name": "Broker Ltd",
        "client_uri": "https://broker.example",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "scope": f"{SCOPE} openactive-ordersfeed profile",
        **metadata,
    }
    given = {name: value for name, value in document.items() if value is not ...}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return _send(
        world, "POST", "/auth/register", json.dumps(given), {"Content-Type": "application/json", **headers}
    )


def post_form(world: World, path: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    return _send(world, "POST", path, urlencode(form), {**form_type, **headers})


def _send(world: World, verb: str, path: str, body: str, headers: Mapping[str, str]) -> Answer:
    response = world.client.http.request(verb, path, headers={"Host": HOST, **headers}, body=body.encode())
    return Answer(response.status_code, response.headers, response.body)


@dataclass
class Browser:
    """Keeps the cookie, and fills in the form it was last shown."""

    world: World
    cookies: dict[str, str] = field(default_factory=dict)
    page: str = ""

    def begin(self, client: Client | str, **parameters: Any) -> Answer:
        """Follow a partner's link."""
        whole: dict[str, Any] = {
            "response_type": "code",
            "client_id": client if isinstance(client, str) else client.id,
            "redirect_uri": CALLBACK,
            "scope": SCOPE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **parameters,
        }
        query = urlencode({name: value for name, value in whole.items() if value is not ...})
        return self._show(_send(self.world, "GET", f"/auth/authorize?{query}", "", self._headers()))

    def sign_in(self, username: str = USERNAME, password: str = PASSWORD) -> Answer:
        return self.submit(username=username, password=password)

    def decide(self, decision: str, seller: int | None = None) -> Answer:
        chosen = {"seller": outer(seller_id(seller))} if seller is not None else {}
        return self.submit(decision=decision, **chosen)

    def submit(self, **fields: str) -> Answer:
        """Send the form, with the fields that are hidden in it."""
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.page))
        form = {name: unescape(value) for name, value in hidden.items()} | fields
        return self._show(post_form(self.world, "/auth/authorize", form, self._headers()))

    def code(self, answer: Answer) -> str:
        return self.query(answer)["code"]

    def query(self, answer: Answer) -> dict[str, str]:
        """What the partner is told by the way back to it."""
        location = answer.headers["Location"]
        assert location.startswith(f"{CALLBACK}?"), location
        return dict(parse_qsl(urlsplit(location).query))

    def _headers(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def _show(self, answer: Answer) -> Answer:
        if cookie := answer.headers.get("Set-Cookie"):
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        self.page = answer.body.decode()
        return answer


def claims(token: str) -> Json:
    """What a token says, unverified."""
    part = token.split(".")[1]
    decoded: Json = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


ISSUER = f"{BASE_URL}/auth"


def odd_text(*more: str) -> st.SearchStrategy[str]:
    """Text that a form or a link may hold by accident or ill will; `more` is what one place must expect."""
    common = ["", "none", "x" * 3000, "\x00", "https://[", "code", "openid", "\r\nX: y", "%", "é"]
    return st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from([*common, *more])
