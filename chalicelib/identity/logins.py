"""Logins: people sign in by password, a limited number of times, and speak for their Sellers."""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.parties import Seller
from chalicelib.identity.consent import Consent, Note
from chalicelib.identity.entries import Login
from chalicelib.identity.hashing import digest
from chalicelib.identity.limits import AttemptLimit
from chalicelib.identity.passwords import Passwords
from chalicelib.identity.register import Register


class SignInRefused(Exception):
    """User name and password are not those of a login that may be used."""


class TooManyAttempts(SignInRefused):
    """There have been so many that nobody may try for some minutes."""


@dataclass(frozen=True)
class Logins:
    """The logins of one installation. `seller` looks up a Seller by its id."""

    register: Register
    consent: Consent
    passwords: Passwords
    by_username: AttemptLimit
    by_address: AttemptLimit
    seller: Callable[[str], Seller | None]
    note: Note

    def sign_in(self, username: str, password: str, address: str) -> Login:
        """The login of a user name and password. Raises SignInRefused, TooManyAttempts.

        `address` is the network address it comes from. An attempt counts before it is made, so that many at
        once count as well; one that succeeds is taken off again.
        """
        name = f"user#{digest(username.casefold())}"
        if not (self.by_address.take(f"address#{digest(address)}") and self.by_username.take(name)):
            self.note("sign-in refused", reason="too many attempts")
            raise TooManyAttempts
        login = self.find(username) if username else None
        right = self.passwords.check(password, login.password if login else None)
        if login is None or not right or login.suspended:
            self.note(
                "sign-in refused", reason="wrong" if not right else "suspended", login=login and login.id
            )
            raise SignInRefused
        self.by_username.give_back(name)
        self.by_address.give_back(f"address#{digest(address)}")
        self.note("signed in", login=login.id)
        return login

    def find(self, username: str) -> Login | None:
        """The login of this name, suspended or not."""
        return self.register.find(Login, Login.key_of(username))

    def sellers_of(self, login: Login) -> list[Seller]:
        """The Sellers for whom this login may speak, as far as they may be acted for."""
        found = (self.seller(each) for each in login.seller_ids)
        return [seller for seller in found if seller is not None and self.consent.may_be_acted_for(seller.id)]
