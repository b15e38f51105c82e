"""Texts in which a value that comes again is written once."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.shared_text import again, first, is_shared, whole

values = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner, min_size=1)
).filter(lambda value: not isinstance(value, int))


@given(distinct=st.lists(values, min_size=1, max_size=5), picks=st.lists(st.integers(0, 4), max_size=30))
def test_a_shared_text_becomes_the_whole_one(distinct: list[Any], picks: list[int]) -> None:
    written = [json.dumps(value, ensure_ascii=False) for value in distinct]
    order: list[int] = []  # of the first use of each
    parts = []
    for pick in (each % len(written) for each in picks):
        parts.append(again(order.index(pick)) if pick in order else first(written[pick]))
        if pick not in order:
            order.append(pick)
    expected = "[" + ",".join(written[pick % len(written)] for pick in picks) + "]"
    shared = "[" + ",".join(parts) + "]"
    assert whole(shared) == expected
    assert is_shared(shared) is bool(picks)


@given(st.text())
def test_a_json_text_is_whole_as_it_is(value: str) -> None:
    """Also one with the character that marks values: JSON escapes it."""
    text = json.dumps({"name": value}, ensure_ascii=False)
    assert not is_shared(text)
    assert whole(text) == text
