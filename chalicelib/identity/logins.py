"""Logins: people sign in with a password, with limited attempts, and act for their Sellers."""

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
    """The user name or password is wrong, or the login is suspended."""


class TooManyAttempts(SignInRefused):
    """There were too many attempts; all further ones are refused for some minutes."""


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

        `address` is the network address of the request. An attempt is counted before the check, so that
        simultaneous attempts count as well; a successful one is uncounted.
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
        self.by_username.uncount(name)
        self.by_address.uncount(f"address#{digest(address)}")
        self.note("signed in", login=login.id)
        return login

    def find(self, username: str) -> Login | None:
        """The login of this name, suspended or not."""
        return self.register.find(Login, Login.key_of(username))

    def sellers_of(self, login: Login) -> list[Seller]:
        """The Sellers that this login may act for, without suspended ones."""
        found = (self.seller(each) for each in login.seller_ids)
        return [seller for seller in found if seller is not None and self.consent.may_be_acted_for(seller.id)]
