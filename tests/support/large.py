"""Long texts, sessions described by them, and Orders of many places."""

from random import Random
from typing import Any

from tests.support.world import Bookable, Json, World

_WORDS = ["".join(Random(n).choices("etaoinshrdlu", k=2 + n % 8)) for n in range(2000)]
_PROSE = " ".join(Random(1).choices(_WORDS, k=60_000))
_LETTERS = [chr(code) for code in range(33, 127) if chr(code) not in '"\\']
_NOISE = "".join(Random(1).choices(_LETTERS, k=600_000))


def prose(size: int, seed: int = 1) -> str:
    """Text that compresses as an operator's description does, of `size` characters."""
    return _PROSE[seed * 1_000 :][:size]


def noise(size: int, seed: int = 1) -> str:
    """Text that hardly compresses, of `size` characters."""
    return f"{seed:02}{_NOISE[(seed * 3_001) % 200_000 :]}"[:size]


def free(world: World, description: str = "", spaces: int = 1000, **session: Any) -> Bookable:
    """A session that costs nothing."""
    document = {"description": description, **session} if description else session
    return world.session(spaces=spaces, price=0, session=document)


def places(sessions: list[Bookable], count: int, **properties: Any) -> list[Json]:
    """OrderItems for `count` places, spread over the sessions."""
    return [sessions[n % len(sessions)].item(n, **properties) for n in range(count)]
