"""Traces of people in what is stored: e-mail addresses, telephone numbers and full names, wherever they occur.

Brokers may send any property (DETAILS-02), and a note is free text, so every text is searched.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from chalicelib.domain.parties import Json
from chalicelib.values import dataclass

# The last digits of a telephone number: what is before them is written in several ways (0, +44, 0044).
_DIGITS_COMPARED = 9
_FEWEST_DIGITS = 6

_APART = re.compile(r"[\s().\-/]+")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Traces:
    """How some people can be recognised: each set is normalised, so that different spellings are equal."""

    emails: frozenset[str] = frozenset()
    telephones: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.emails or self.telephones or self.names)

    def __or__(self, other: "Traces") -> "Traces":
        return Traces(
            self.emails | other.emails, self.telephones | other.telephones, self.names | other.names
        )

    def are_of(self, party: Json | None) -> bool:
        """Whether a Customer or attendee is one of these people, by any of its details."""
        if not party:
            return False
        own = traces_of(party)
        known = (own.emails & self.emails) or (own.telephones & self.telephones) or (own.names & self.names)
        return bool(known) or self.are_in(party)

    def are_in(self, value: Any) -> bool:
        """Whether a text anywhere in the value names one of these people."""
        return any(self._in_text(text) for text in texts_in(value))

    def without(self, value: Any) -> Any:
        """The value without the texts that name one of these people; None if nothing is left of it."""
        if isinstance(value, str):
            return None if self._in_text(value) else value
        if isinstance(value, dict):
            kept = {key: self.without(each) for key, each in value.items()}
            return {key: each for key, each in kept.items() if each is not None} or None
        if isinstance(value, list | tuple):
            return [kept for each in value if (kept := self.without(each)) is not None] or None
        return value

    def _in_text(self, text: str) -> bool:
        plain = _SPACES.sub(" ", text).casefold()
        if any(_is_word(word, plain) for word in (*self.emails, *self.names)):
            return True
        return bool(self.telephones) and any(
            number in run for number in self.telephones for run in _runs_of_digits(text)
        )


def sought(email: str = "", telephone: str = "", name: str = "") -> Traces:
    """The traces of a person of whom any of these is known. Raises ValueError for one that is no such detail."""
    if email and not re.fullmatch(r"[^@\s]+@[^@\s]+", email.strip()):
        raise ValueError(f"{email!r} is not an e-mail address.")
    if telephone and not _telephone(telephone):
        raise ValueError(f"{telephone!r} is not a telephone number: at least {_FEWEST_DIGITS} digits.")
    if name and " " not in name.strip():
        raise ValueError(f"{name!r} is not a full name: give the first name and the family name.")
    return Traces(_set(_plain(email)), _set(_telephone(telephone)), _set(_plain(name)))


def traces_of(party: Json | None) -> Traces:
    """What identifies a Customer or an attendee elsewhere: a given name alone does not."""
    party = party or {}
    names = [_text(party, "name"), f"{_text(party, 'givenName')} {_text(party, 'familyName')}"]
    return Traces(
        _set(_plain(_text(party, "email"))),
        _set(_telephone(_text(party, "telephone"))),
        frozenset(plain for each in names if " " in (plain := _plain(each))),
    )


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)


def all_traces(parties: Iterable[Json | None]) -> Traces:
    """The traces of several parties together."""
    together = Traces()
    for party in parties:
        together |= traces_of(party)
    return together


def _text(party: Json, name: str) -> str:
    value = party.get(name)
    return value if isinstance(value, str) else ""


def _plain(text: str) -> str:
    return _SPACES.sub(" ", text).strip().casefold()


def _telephone(text: str) -> str:
    digits = re.sub(r"\D", "", text)
    return digits[-_DIGITS_COMPARED:] if len(digits) >= _FEWEST_DIGITS else ""


def _set(text: str) -> frozenset[str]:
    return frozenset([text] if text else [])


def _is_word(word: str, text: str) -> bool:
    """Whether the word occurs in the text, and not as a part of a longer one."""
    return word in text and re.search(rf"(?<![\w@.+-]){re.escape(word)}(?![\w-]|\.\w)", text) is not None


def _runs_of_digits(text: str) -> list[str]:
    """The numbers in a text, each with the digits that are only separated by spaces and punctuation."""
    return re.findall(rf"\d{{{_FEWEST_DIGITS},}}", _APART.sub("", text))
