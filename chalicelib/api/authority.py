"""The endpoints of the OpenID provider, including those of the login and consent pages."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chalice.app import Blueprint

from chalicelib.api.boundary import Call, Reply, Resource, View, page_reply, register
from chalicelib.domain import identifiers
from chalicelib.domain.errors import UnknownOrIncorrectEndpointError
from chalicelib.pages import sign_in as pages
from chalicelib.pages.rendering import Page

if TYPE_CHECKING:
    from chalicelib.identity.entries import Login
    from chalicelib.identity.oauth.provider import AuthorisationRequest, OAuthError, Provider
    from chalicelib.identity.oauth.requests import Answered, Asked
    from chalicelib.identity.sign_in import Ticket

blueprint = Blueprint(__name__)

# With its parameter, so that it differs from Chalice's own responses.
_JSON = "application/json;charset=UTF-8"
# Chalice reads a request without a media type, such as every GET, as application/json.
_FORM = ("application/x-www-form-urlencoded", "application/json")
_COOKIE = "openbooking-sign-in"
# 180 days, as long as a browser is known in which a login was used (`identity.logins`).
_COOKIE_LIVES = 180 * 86_400
_BROWSER = re.compile(r"[A-Za-z0-9_-]{20,100}")

_STALE = pages.Message("This page has expired", "Go back to the service that sent you here and start again.")
_ANSWERED = pages.Message(
    "Your answer was received",
    "This page works once. If nothing happens, go back to the service that sent you here and start again.",
)
_INVALID_LINK = "This link does not work"
# For people who followed a link and do not know OAuth.
_REFUSALS = {
    "invalid_client": "This booking system does not know the service that sent you here.",
    "unsupported_response_type": "The service that sent you here made a request that this booking system does not support.",
}
_NO_SELLER = pages.Message(
    "This login is not connected to a seller",
    "The operator of this booking system can connect it to your organisation.",
)


def discovery(call: Call) -> Reply:
    """The OpenID Provider Configuration."""
    document = json.dumps(_provider(call).discovery())
    return Reply(200, document, {"Cache-Control": "public, max-age=3600"}, _JSON)


def jwks(call: Call) -> Reply:
    """The public keys for the verification of tokens."""

    _check_enabled(call)
    from chalicelib.identity.tokens import jwks_document

    document = jwks_document(call.system.keys.public())
    return Reply(200, document, {"Cache-Control": "public, max-age=900"}, _JSON)


def token(call: Call) -> Reply:
    """The token endpoint."""
    provider = _provider(call)
    return _protocol_reply(provider.token(_oauth_request(call)))


def register_partner(call: Call) -> Reply:
    """Dynamic client registration."""
    provider = _provider(call)
    return _protocol_reply(provider.register(_oauth_request(call)))


def revoke(call: Call) -> Reply:
    """Revocation of a refresh token."""
    provider = _provider(call)
    return _protocol_reply(provider.revoke(_oauth_request(call)))


def authorise(call: Call) -> Reply:
    """The authorization endpoint: the login page, if the partner's request is valid."""
    return _SignIn(call).begin()


def answer_form(call: Call) -> Reply:
    """The login form or the consent form that the Seller has sent."""
    return _SignIn(call).submit()


class _SignIn:
    """The steps from the partner's request to login, consent and back to the partner."""

    def __init__(self, call: Call) -> None:
        from chalicelib.identity.hashing import new_secret
        from chalicelib.identity.oauth.provider import OAuthError

        self._oauth_error = OAuthError
        self._call, self._provider = call, _provider(call)
        self._system = call.system
        self._service = call.service
        self._browser = _cookie(call) or new_secret()

    def begin(self) -> Reply:
        from chalicelib.identity.oauth.provider import PARAMETERS

        repeated = [name for name in self._call.repeated_query() if name in PARAMETERS]
        if repeated:  # RFC 6749, section 3.1: which of them is meant?
            return self._error_page(400, pages.Message(_INVALID_LINK, f"Duplicate parameter: {repeated[0]}."))
        return self._begin(self._call.query)

    def _begin(self, given: Mapping[str, str]) -> Reply:
        from chalicelib.identity.oauth.provider import PARAMETERS
        from chalicelib.identity.sign_in import Ticket

        try:
            asked_for = self._provider.authorisation_request(given)
        except self._oauth_error as error:
            return self._refused(error)
        ticket = self._ticket(Ticket({name: given[name] for name in PARAMETERS if name in given}))
        page = pages.login_page(
            self._service,
            ticket,
            asked_for.partner.name,
            back_to=_origin(asked_for),
            username=asked_for.username or "",
        )
        return self._page(200, page)

    def submit(self) -> Reply:
        from chalicelib.identity.sign_in import TicketRefused, read_ticket

        try:
            form = _oauth_request(self._call).form()
            if "ticket" not in form:  # a request that came by POST (OpenID Connect Core 1.0, section 3.1.2.1)
                return self._begin(form)
            ticket = read_ticket(form["ticket"], self._browser, self._system.keys, self._system.clock())
            asked_for = self._provider.authorisation_request(ticket.parameters)
        except TicketRefused:
            return self._error_page(400, _STALE)
        except self._oauth_error as error:
            return self._refused(error)
        if ticket.username is None:
            return self._sign_in(form, ticket, asked_for)
        return self._decide(form, ticket, asked_for)

    def _sign_in(self, form: Mapping[str, str], ticket: "Ticket", asked_for: "AuthorisationRequest") -> Reply:
        from chalicelib.identity.logins import SignInRefused, TooManyAttempts
        from chalicelib.identity.sign_in import Ticket

        try:
            username = form.get("username", "").strip()
            login = self._system.logins.sign_in(
                username, form.get("password", ""), self._address(), self._browser
            )
        except SignInRefused as refusal:
            too_many = isinstance(refusal, TooManyAttempts)
            page = pages.login_page(
                self._service,
                form["ticket"],
                asked_for.partner.name,
                back_to=_origin(asked_for),
                username=username,
                problem=pages.Problem.too_many_attempts if too_many else pages.Problem.wrong,
            )
            return self._page(429 if too_many else 403, page)
        signed_in_at, sellers = self._system.clock(), self._system.logins.sellers_of(login)
        if not sellers:
            return self._error_page(403, _NO_SELLER)
        sellers = [seller for seller in sellers if asked_for.seller_id in (None, seller.id)]
        if not sellers:
            return _protocol_reply(self._provider.deny_other_seller(asked_for))
        if (
            len(sellers) == 1
            and "consent" not in asked_for.prompts
            and self._system.consent.has_consent(asked_for.partner.id, sellers[0].id, asked_for.scopes)
        ):
            return self._allow(asked_for, sellers[0].id, login, signed_in_at)
        next_ticket = self._ticket(Ticket(ticket.parameters, login.username, signed_in_at))
        page = pages.consent_page(
            self._service,
            next_ticket,
            back_to=_origin(asked_for),
            partner=asked_for.partner.name,
            partner_url=asked_for.partner.url,
            username=login.username,
            sellers=[(each.id, str(each.document.get("name") or each.id)) for each in sellers],
            scopes=asked_for.scopes,
        )
        return self._page(200, page)

    def _decide(self, form: Mapping[str, str], ticket: "Ticket", asked_for: "AuthorisationRequest") -> Reply:
        from chalicelib.identity.sign_in import use_up

        login = self._system.logins.find(ticket.username) if ticket.username else None
        if login is None or login.suspended or ticket.signed_in_at is None:
            return self._error_page(403, _STALE)
        allows = form.get("decision") == "allow"
        sellers = {seller.id for seller in self._system.logins.sellers_of(login)}
        chosen = identifiers.inward(form.get("seller", ""), self._call.base_url)
        if allows and (chosen not in sellers or asked_for.seller_id not in (None, chosen)):
            return self._error_page(403, _NO_SELLER)
        if not use_up(ticket, self._system.register, self._system.clock()):
            return self._error_page(400, _ANSWERED)
        if not allows:
            return _protocol_reply(self._provider.deny(asked_for))
        return self._allow(asked_for, chosen, login, ticket.signed_in_at)

    def _allow(
        self, asked_for: "AuthorisationRequest", seller_id: str, login: "Login", signed_in_at: datetime
    ) -> Reply:
        authorisation = self._system.consent.authorise(
            asked_for.partner.id, seller_id, asked_for.scopes, given_by=login.id
        )
        if not authorisation.stands:  # suspended by the operator; a login cannot change that
            return _protocol_reply(self._provider.deny(asked_for))
        return _protocol_reply(self._provider.allow(asked_for, authorisation, signed_in_at))

    def _refused(self, error: "OAuthError") -> Reply:
        if error.redirect_uri:
            return _protocol_reply(self._provider.answer(error))
        # No redirect: the address in the request may be an attacker's (RFC 6749, 4.1.2.1).
        text = _REFUSALS.get(error.error) or error.get_error_description()
        return self._error_page(400, pages.Message(_INVALID_LINK, text))

    def _ticket(self, ticket: "Ticket") -> str:
        from chalicelib.identity.sign_in import write_ticket

        return write_ticket(ticket, self._browser, self._system.keys, self._system.clock())

    def _page(self, status: int, page: Page) -> Reply:
        secure = self._call.base_url.startswith("https:")
        name, flags = _cookie_name(secure), "; Secure" if secure else ""
        cookie = f"{name}={self._browser}; Path=/; HttpOnly; SameSite=Lax; Max-Age={_COOKIE_LIVES}{flags}"
        return page_reply(status, page, **{"Set-Cookie": cookie})

    def _error_page(self, status: int, message: pages.Message) -> Reply:
        return page_reply(status, pages.message_page(self._service, message))

    def _address(self) -> str:
        """The client's address as the gateway saw it; headers are ignored."""
        identity = self._call.request.context.get("identity") or {}
        return str(identity.get("sourceIp") or "unknown")


def _origin(asked_for: "AuthorisationRequest") -> str:
    """The origin of the partner's redirect address: browsers check redirects after a form against form-action."""
    target = urlsplit(asked_for.grant.redirect_uri)
    return f"{target.scheme}://{target.netloc}"


def _cookie_name(secure: bool) -> str:
    # With this prefix no other host and no http page can set it (RFC 6265bis, section 4.1.3.2).
    return f"__Host-{_COOKIE}" if secure else _COOKIE


def _cookie(call: Call) -> str | None:
    wanted = _cookie_name(call.base_url.startswith("https:"))
    # Not with SimpleCookie, which stops at the first cookie that it cannot read.
    for pair in call.headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == wanted and _BROWSER.fullmatch(value):
            return value
    return None


def _check_enabled(call: Call) -> None:
    if "openid" not in call.system.settings.ways:
        raise UnknownOrIncorrectEndpointError("This system has no built-in OpenID provider.")


def _provider(call: Call) -> "Provider":
    _check_enabled(call)
    # Authlib is slow to load, and bookings do not need it.
    from chalicelib.identity.oauth.provider import Provider
    from chalicelib.runtime.provider import backend_of

    return Provider(backend_of(call.system), call.base_url, call.system.booking_service())


def _oauth_request(call: Call) -> "Asked":
    from chalicelib.identity.oauth.requests import Asked

    return Asked(call.request.method, call.query, call.body(), call.headers)


def _protocol_reply(answered: "Answered") -> Reply:
    status = 303 if answered.status == 302 else answered.status  # after a form, a GET (RFC 9700, 4.12)
    text = json.dumps(answered.document) if answered.document is not None else None
    return Reply(status, text, answered.headers, _JSON)


_FORMS: Mapping[str, View] = {"GET": authorise, "POST": answer_form}

for _resource in (
    Resource("/auth/.well-known/openid-configuration", {"GET": discovery}),
    Resource("/auth/jwks", {"GET": jwks}),
    Resource("/auth/authorize", _FORMS, reads=_FORM, fault_page=pages.fault_page),
    Resource("/auth/token", {"POST": token}, reads=_FORM),
    Resource("/auth/register", {"POST": register_partner}, reads=("application/json",)),
    Resource("/auth/revoke", {"POST": revoke}, reads=_FORM),
):
    register(blueprint, _resource)
