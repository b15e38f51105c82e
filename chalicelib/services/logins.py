"""Logins: people who may speak for Sellers. The journal knows them by their id; user names are personal."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import ClassVar

from chalicelib.domain.parties import Json
from chalicelib.identity.entries import Login
from chalicelib.identity.passwords import Passwords
from chalicelib.services.entries import Entries
from chalicelib.services.errors import AlreadyExists, InvalidValue, NotFound, NotPossible
from chalicelib.services.journal import Journal
from chalicelib.services.sellers import Sellers
from chalicelib.services.suspension import Suspendable
from chalicelib.values import dataclass, replace

_SHORTEST, _LONGEST = 12, 200

# Common passwords that are long enough to pass the length check; digits and punctuation are ignored.
_FIRST_TRIED = """
passwordpassword password administrator adminadmin adminadminadmin changeme changemechangeme letmein
letmeinletmein welcome welcomewelcome iloveyou iloveyouforever qwerty qwertyuiop qwertyqwerty
qwertyuiopasdf asdfghjkl asdfghjklzxc qazwsxedcrfv qazwsxedc zxcvbnm zxcvbnmasdfg zaqxswcde abc abcabcabc
abcdefgh abcdefghij abcdefghijkl abcdefghijklmnop princess football footballfootball basketball baseball
superman batman dragon monkey sunshine starwars whatever secret secretsecret login default test testtest
testtesttest trustno opensesame correcthorsebatterystaple booking openbooking openactive leisure leisurecentre
"""
_COMMON = frozenset(_FIRST_TRIED.split())


def new_login(login_id: str, username: str, hashed: str, seller_ids: Sequence[str], now: datetime) -> Login:
    """A login that is not saved yet. `hashed` is the password as `Passwords` stores it."""
    return Login(login_id, username, hashed, tuple(dict.fromkeys(seller_ids)), now)


@dataclass(frozen=True)
class Logins(Suspendable[Login]):
    """The logins of one installation. A suspended login cannot sign in."""

    kind: ClassVar[str] = "login"

    entries: Entries
    journal: Journal
    sellers: Sellers
    passwords: Passwords
    new_id: Callable[[], str]

    def find(self, username: str) -> Login:
        """The login of this name; upper and lower case are equal. Raises NotFound."""
        found = self.entries.find(Login, Login.key_of(username.strip()))
        if found is None:
            raise NotFound("login", username)
        return found

    def check_new(self, username: str, sellers: Sequence[str]) -> tuple[str, list[str]]:
        """Check a new login before its password is known. Returns its name and the Sellers' ids.

        Raises InvalidValue, NotFound, AlreadyExists.
        """
        name = username.strip()
        if not name or len(name) > 200 or not name.isprintable():
            raise InvalidValue("A user name has 1 to 200 characters; an email address works well.")
        if not sellers:
            raise InvalidValue("A login speaks for at least one Seller.")
        seller_ids = [self.sellers.find(each).id for each in sellers]
        if self.entries.find(Login, Login.key_of(name)) is not None:
            raise AlreadyExists(_taken(name))
        return name, seller_ids

    def add(self, username: str, sellers: Sequence[str], password: str) -> Login:
        """Add a login that may speak for these Sellers. Raises InvalidValue, NotFound, AlreadyExists."""
        name, seller_ids = self.check_new(username, sellers)
        check_password(password, name)
        hashed = self.passwords.hash(password)
        made = new_login(self.new_id(), name, hashed, seller_ids, self.entries.clock())
        login = self.entries.add(made, taken=_taken(name))
        self.journal.note("login added", login=login.id)
        return login

    def listed(self) -> list[Json]:
        """All logins with the Sellers for whom they speak, as rows to show."""
        return [
            {
                "username": login.username,
                "id": login.id,
                "sellers": [self.sellers.ids.shown(each) for each in login.seller_ids],
                "made": login.made_at,
                "state": "suspended" if login.suspended else "active",
            }
            for login in sorted(self.entries.all(Login), key=lambda each: each.username.casefold())
        ]

    def set_password(self, username: str, password: str) -> Login:
        """Replace the password. Raises NotFound, InvalidValue."""
        login = self.find(username)
        check_password(password, login.username)
        hashed = self.passwords.hash(password)
        changed = self.entries.change(login, lambda found: replace(found, password=hashed))
        self.journal.note("password set", login=login.id)
        return changed

    def allow(self, username: str, seller: str) -> Login:
        """The login may speak for this Seller too. Raises NotFound, NotPossible."""
        login, seller_id = self.find(username), self.sellers.find(seller).id
        if seller_id in login.seller_ids:
            raise NotPossible(
                f"Login {login.username!r} already speaks for {self.sellers.ids.shown(seller_id)}."
            )

        def with_seller(found: Login) -> Login:
            return replace(found, seller_ids=tuple(dict.fromkeys((*found.seller_ids, seller_id))))

        changed = self.entries.change(login, with_seller)
        self.journal.note("login allowed to speak", login=login.id, seller=seller_id)
        return changed

    def disallow(self, username: str, seller: str) -> Login:
        """The login no longer speaks for this Seller; the authorisations that it gave stay valid.

        Raises NotFound, NotPossible.
        """
        login, seller_id = self.find(username), self.sellers.find(seller).id
        if seller_id not in login.seller_ids:
            raise NotPossible(
                f"Login {login.username!r} does not speak for {self.sellers.ids.shown(seller_id)}."
            )

        def without_seller(found: Login) -> Login:
            return replace(found, seller_ids=tuple(each for each in found.seller_ids if each != seller_id))

        changed = self.entries.change(login, without_seller)
        self.journal.note("login no longer allowed to speak", login=login.id, seller=seller_id)
        return changed

    def _suspendable(self, known_as: str) -> tuple[Login, str, str]:
        login = self.find(known_as)
        return login, f"Login {login.username!r}", login.id

    def remove(self, username: str) -> Login:
        """Remove the login with its name; the authorisations that it gave stay valid.

        Raises NotFound.
        """
        login = self.find(username)
        self.entries.remove(login)
        self.journal.note("login removed", login=login.id)
        return login


def _taken(name: str) -> str:
    return f"There is a login {name!r} already."


def check_password(password: str, username: str) -> None:
    """Raises InvalidValue for a password that is too short or common (NIST SP 800-63B, 5.1.1.2)."""
    if not _SHORTEST <= len(password) <= _LONGEST:
        raise InvalidValue(f"A password has {_SHORTEST} to {_LONGEST} characters.")
    plain = password.casefold()
    own = {username.casefold(), username.casefold().partition("@")[0]}
    for name in own:
        # The part that is left without the user name must itself be hard to guess.
        if len(name) >= 3 and name in plain and len(plain.replace(name, "")) < 8:
            raise InvalidValue("The password must not be the user name.")
    letters = re.sub(r"[^a-z]", "", plain.translate(str.maketrans("013457@$", "oieastas")))
    if len(set(plain)) < 5 or _is_a_row(plain) or {re.sub(r"[^a-z]", "", plain), letters} & _COMMON:
        raise InvalidValue("This password is too common.")


def _is_a_row(text: str) -> bool:
    """Whether nearly every character is the successor of the one before, as in 123456789012 or abcdefghijkl."""
    steps = [ord(right) - ord(left) for left, right in pairwise(text)]
    return max(steps.count(1), steps.count(-1)) >= len(steps) * 3 // 4
