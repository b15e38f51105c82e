"""Logins: people who may speak for Sellers. The journal knows them by their id; user names are personal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from chalicelib.domain.parties import Json
from chalicelib.identity.register import Login
from openbooking.identities.desk import Desk, Refused

_SHORTEST, _LONGEST = 12, 200

# Of the passwords that are tried first, those that are long enough; digits and marks are looked through.
_FIRST_TRIED = """
passwordpassword password administrator adminadmin adminadminadmin changeme changemechangeme letmein
letmeinletmein welcome welcomewelcome iloveyou iloveyouforever qwerty qwertyuiop qwertyqwerty
qwertyuiopasdf asdfghjkl asdfghjklzxc qazwsxedcrfv qazwsxedc zxcvbnm zxcvbnmasdfg zaqxswcde abc abcabcabc
abcdefgh abcdefghij abcdefghijkl abcdefghijklmnop princess football footballfootball basketball baseball
superman batman dragon monkey sunshine starwars whatever secret secretsecret login default test testtest
testtesttest trustno opensesame correcthorsebatterystaple booking openbooking openactive leisure leisurecentre
"""
_COMMON = frozenset(_FIRST_TRIED.split())


def add(desk: Desk, username: str, sellers: Sequence[str], password: str) -> Login:
    """A new login that may speak for these Sellers. Raises Refused."""
    name = username.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise Refused("A user name has 1 to 200 characters; an email address is a good one.")
    if not sellers:
        raise Refused("A login speaks for at least one Seller: --seller ID")
    seller_ids = tuple(dict.fromkeys(desk.seller(each).id for each in sellers))
    check_password(password, name)
    hashed = desk.authority.passwords.hash(password)
    made = Login(desk.authority.new_id(), name, hashed, seller_ids, desk.now())
    login = desk.add(made, taken=f"There is a login {name!r} already.")
    desk.note("login added", login=login.id)
    return login


def check_password(password: str, username: str) -> None:
    """Raises Refused for one that is too short or among the first to be tried (NIST SP 800-63B, 5.1.1.2)."""
    if not _SHORTEST <= len(password) <= _LONGEST:
        raise Refused(f"A password has {_SHORTEST} to {_LONGEST} characters.")
    plain = password.casefold()
    own = {username.casefold(), username.casefold().partition("@")[0]}
    for name in own:
        # What is left without the name must itself be something to guess.
        if len(name) >= 3 and name in plain and len(plain.replace(name, "")) < 8:
            raise Refused("The password must not be the user name.")
    letters = re.sub(r"[^a-z]", "", plain.translate(str.maketrans("013457@$", "oieastas")))
    if len(set(plain)) < 5 or _is_a_row(plain) or {re.sub(r"[^a-z]", "", plain), letters} & _COMMON:
        raise Refused("This password is among the first that anybody tries.")


def _is_a_row(text: str) -> bool:
    """Whether nearly every character follows the one before, as in 123456789012 or abcdefghijkl."""
    steps = [ord(right) - ord(left) for left, right in pairwise(text)]
    return max(steps.count(1), steps.count(-1)) >= len(steps) * 3 // 4


def listed(desk: Desk) -> list[Json]:
    """All logins with the Sellers for whom they speak."""
    return [
        {
            "username": login.username,
            "id": login.id,
            "sellers": [desk.shown(each) for each in login.seller_ids],
            "made": login.made_at,
            "state": "suspended" if login.suspended else "active",
        }
        for login in sorted(desk.all(Login), key=lambda each: each.username.casefold())
    ]


def set_password(desk: Desk, username: str, password: str) -> Login:
    """Replace the password. Raises Refused."""
    login = desk.login(username)
    check_password(password, login.username)
    hashed = desk.authority.passwords.hash(password)
    changed = desk.change(login, lambda found: replace(found, password=hashed))
    desk.note("password set", login=login.id)
    return changed


def allow(desk: Desk, username: str, seller: str) -> Login:
    """The login may speak for this Seller too. Raises Refused."""
    login, seller_id = desk.login(username), desk.seller(seller).id
    if seller_id in login.seller_ids:
        raise Refused(f"Login {login.username!r} speaks for {desk.shown(seller_id)} already.")
    changed = desk.change(
        login, lambda found: replace(found, seller_ids=tuple(dict.fromkeys((*found.seller_ids, seller_id))))
    )
    desk.note("login allowed to speak", login=login.id, seller=seller_id)
    return changed


def disallow(desk: Desk, username: str, seller: str) -> Login:
    """The login no longer speaks for this Seller; what it has allowed in its name stays. Raises Refused."""
    login, seller_id = desk.login(username), desk.seller(seller).id
    if seller_id not in login.seller_ids:
        raise Refused(f"Login {login.username!r} does not speak for {desk.shown(seller_id)}.")
    changed = desk.change(
        login,
        lambda found: replace(
            found, seller_ids=tuple(each for each in found.seller_ids if each != seller_id)
        ),
    )
    desk.note("login no longer allowed to speak", login=login.id, seller=seller_id)
    return changed


def suspend(desk: Desk, username: str) -> Login:
    """It cannot log in from now on. Raises Refused."""
    return _set_suspended(desk, username, suspended=True)


def resume(desk: Desk, username: str) -> Login:
    """As before it was suspended. Raises Refused."""
    return _set_suspended(desk, username, suspended=False)


def _set_suspended(desk: Desk, username: str, *, suspended: bool) -> Login:
    login = desk.login(username)
    if login.suspended is suspended:
        raise Refused(f"Login {login.username!r} is {'' if suspended else 'not '}suspended.")
    changed = desk.change(login, lambda found: replace(found, suspended=suspended))
    desk.note("login suspended" if suspended else "login resumed", login=login.id)
    return changed


def remove(desk: Desk, username: str) -> Login:
    """Take the login away, and with it the name; what it has allowed in its Sellers' names stays. Raises Refused."""
    login = desk.login(username)
    desk.remove(login)
    desk.note("login removed", login=login.id)
    return login
