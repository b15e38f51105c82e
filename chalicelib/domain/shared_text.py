"""JSON text in which a value that comes again is written once: the answer to an Order of 100 places has few different ones.

Such a text is kept as it is and made `whole` where it leaves the system. JSON has the character that marks the values
nowhere, not even in a string: it is escaped there.
"""

_MARK = "\x03"

# Characters. Shorter texts are kept whole, because release 0.1.0 reads the rows that contain them.
SHARED_FROM = 32_768


def first(text: str) -> str:
    """A value where it is written out. The values of a text are counted in this order, from 0."""
    return f"{_MARK}{text}{_MARK}"


def again(place: int) -> str:
    """The value with this number, where it comes again."""
    return f"{_MARK}{place}{_MARK}"


def is_shared(text: str) -> bool:
    """Whether the text has values that are written once, so that it is not JSON as it is."""
    return _MARK in text


def whole(text: str) -> str:
    """The text with each value in each of its places. Any other text is returned unchanged."""
    if _MARK not in text:
        return text
    parts = text.split(_MARK)
    values: list[str] = []
    for place in range(1, len(parts), 2):
        part = parts[place]
        if part.isdigit():
            parts[place] = values[int(part)]
        else:
            values.append(part)
    return "".join(parts)
