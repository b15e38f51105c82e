"""JSON-LD in HTML pages."""

import pytest

from chalicelib.importing.page import json_ld_blocks


@pytest.mark.parametrize(
    "element",
    [
        '<script type="application/ld+json">{"a": 1}</script>',
        '<SCRIPT type=" application/LD+JSON; charset=utf-8" id="x">{"a": 1}</SCRIPT>',
    ],
)
def test_a_block_is_found_however_its_type_is_spelled(element: str) -> None:
    assert json_ld_blocks(f"<!doctype html><script>let a = 1</script>{element}<p>text") == ['{"a": 1}']


def test_blocks_come_in_the_order_of_the_page() -> None:
    block = '<script type="application/ld+json">%d</script>'
    assert json_ld_blocks(block % 1 + "<script type='text/plain'>no</script>" + block % 2) == ["1", "2"]


def test_a_page_may_have_none() -> None:
    assert json_ld_blocks("<p>Nothing here</p>") == []
