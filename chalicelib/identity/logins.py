"""Logins: people sign in with a password, with limited attempts, and act for their Sellers."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from chalicelib.domain.parties import Seller
from chalicelib.identity.consent import Consent, Note
from chalicelib.identity.entries import KnownBrowser, Login
from chalicelib.identity.hashing import digest
from chalicelib.identity.limits import AttemptLimit
from chalicelib.identity.passwords import Passwords
from chalicelib.identity.register import Register
from chalicelib.storage.errors import RecordChanged, StoreBusy
from chalicelib.values import dataclass

# How long a browser is known after a login was used in it.
KNOWN_FOR = timedelta(days=180)


class SignInRefused(Exception):
    """The user name or password is wrong, or the login is suspended."""


class TooManyAttempts(SignInRefused):
    """There were too many attempts; all further ones are refused for some minutes."""


@dataclass(frozen=True)
class SignInLimits:
    """How many attempts are wrong before further ones are refused, by what an attacker would have to change."""

    per_place: AttemptLimit
    """For one login from one network."""
    per_network: AttemptLimit
    """From one network, for all logins."""
    per_name: AttemptLimit
    """For one login, from everywhere but the browsers that know it."""
    per_browser: AttemptLimit
    """For one login, in one browser that knows it."""


@dataclass(frozen=True)
class Logins:
    """The logins of one installation. `seller` looks up a Seller by its id."""

    register: Register
    consent: Consent
    passwords: Passwords
    limits: SignInLimits
    seller: Callable[[str], Seller | None]
    note: Note
    now: Callable[[], datetime]

    def sign_in(self, username: str, password: str, address: str, browser: str = "") -> Login:
        """The login of a user name and password. Raises SignInRefused, TooManyAttempts, StoreBusy.

        `address` is the network address of the request, `browser` the secret in its cookie. An attempt is counted
        before the check, so that simultaneous attempts count as well; a successful one is uncounted.

        Wrong passwords of others do not close a login for its owner: they count for their own network, and,
        if they come from many, for all but the browsers in which the login was used before.
        """
        name = digest(username.casefold())
        known = self._known(name, browser)
        counted: list[tuple[AttemptLimit, str]] = []
        for limit, who in self._counts(name, address, browser, is_known=known is not None):
            if not limit.take(who):
                # The others still count: an attempt that is refused costs an attacker as much.
                self.note("sign-in refused", reason="too many attempts")
                raise TooManyAttempts
            counted.append((limit, who))
        login = self.find(username) if username else None
        right = self.passwords.check(password, login.password if login else None)
        if login is None or not right or login.suspended:
            self.note(
                "sign-in refused", reason="wrong" if not right else "suspended", login=login and login.id
            )
            raise SignInRefused
        for limit, who in counted:
            limit.uncount(who)
        self._remember(name, browser, known)
        self.note("signed in", login=login.id)
        return login

    def _counts(
        self, name: str, address: str, browser: str, *, is_known: bool
    ) -> Iterator[tuple[AttemptLimit, str]]:
        if is_known:
            yield self.limits.per_browser, f"browser#{name}#{digest(browser)}"
            return
        network = digest(network_of(address))
        yield self.limits.per_network, f"network#{network}"
        yield self.limits.per_place, f"user#{name}#{network}"
        yield self.limits.per_name, f"user#{name}"

    def _known(self, name: str, browser: str) -> KnownBrowser | None:
        found = (
            self.register.find(KnownBrowser, KnownBrowser.key_of(name, digest(browser))) if browser else None
        )
        return found if found is not None and found.ends_at > self.now() else None

    def _remember(self, name: str, browser: str, known: KnownBrowser | None) -> None:
        """Know the browser from now on. It is only a convenience: a login does not fail without it."""
        ends_at = self.now() + KNOWN_FOR
        if not browser or (known is not None and ends_at - known.ends_at < timedelta(days=1)):
            return
        version = known.version if known is not None else 0
        with suppress(RecordChanged, StoreBusy):
            self.register.save(KnownBrowser(name, digest(browser), ends_at, version=version))

    def find(self, username: str) -> Login | None:
        """The login of this name, suspended or not."""
        return self.register.find(Login, Login.key_of(username))

    def sellers_of(self, login: Login) -> list[Seller]:
        """The Sellers that this login may act for, without suspended ones."""
        found = (self.seller(each) for each in login.seller_ids)
        return [seller for seller in found if seller is not None and self.consent.may_be_acted_for(seller.id)]


def network_of(address: str) -> str:
    """What an attacker cannot change at will: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{parsed.exploded[:19]}::/64"
    return str(parsed)
