"""Value classes behave as the dataclasses that the type checker takes them for."""

import re
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import pytest

import chalicelib
from chalicelib.values import astuple, dataclass, field, fields, replace

T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@dataclass(frozen=True)
class Labelled(Point):
    label: str = ""


@dataclass(frozen=True)
class Noted:
    id: str
    note: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class Row:
    version: int = 0


@dataclass(frozen=True)
class Named(Row):
    name: str


@dataclass(frozen=True)
class Page(Generic[T]):
    items: tuple[T, ...]


@dataclass
class Shelf:
    books: list[str] = field(default_factory=list)
    size: int = 0

    def __post_init__(self) -> None:
        self.size = len(self.books)

    @cached_property
    def sorted(self) -> list[str]:
        return sorted(self.books)


def test_values_are_equal_by_class_and_fields() -> None:
    assert Point(1, 2) == Point(1, y=2) != Point(2, 1)
    assert Labelled(1) != Point(1)
    assert len({Point(1), Point(1), Point(2)}) == 2
    assert repr(Labelled(1, 2, "here")) == "Labelled(x=1, y=2, label='here')"


def test_a_frozen_value_is_replaced_not_changed() -> None:
    point = Point(1, 2)
    with pytest.raises(AttributeError):
        point.x = 2  # type: ignore[misc]
    assert replace(point, x=3) == Point(3, 2) and point == Point(1, 2)
    with pytest.raises(TypeError):
        replace(point, z=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_a_field_may_be_left_out_of_comparisons() -> None:
    assert Noted("1", "a") == Noted("1", "b") != Noted("2", "a")
    assert len({Noted("1", "a"), Noted("1", "b")}) == 1
    assert Noted("1") != Point(1)  # type: ignore[comparison-overlap]
    assert replace(Noted("1", "a"), id="2").note == "a"


def test_a_field_given_by_name_only_may_come_before_one_that_is_required() -> None:
    assert Named("a") == Named("a", version=0) != Named("a", version=1)
    with pytest.raises(TypeError):
        Named("a", 1)  # type: ignore[call-arg]


def test_each_instance_has_its_own_default() -> None:
    one, other = Shelf(), Shelf()
    one.books.append("a")
    assert other.books == []
    assert one != other


def test_what_follows_from_the_fields_can_be_kept() -> None:
    shelf = Shelf(["b", "a"])
    assert shelf.size == 2
    assert shelf.sorted == ["a", "b"] and shelf.sorted is shelf.sorted


def test_values_may_be_generic() -> None:
    assert Page[int]((1,)) == Page((1,))


def test_fields_and_values_in_their_order() -> None:
    assert [each.name for each in fields(Labelled)] == ["x", "y", "label"]
    assert astuple(Labelled(1, 2, "here")) == (1, 2, "here")


def test_values_match_patterns_by_position() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
        case _:  # pragma: no cover
            pytest.fail("no match")


def test_what_lambda_loads_uses_no_other_dataclasses() -> None:
    root = Path(chalicelib.__path__[0])
    found = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"^\s*(from|import) dataclasses\b", path.read_text("utf-8"), re.MULTILINE)
        and path != root / "values.py"
    ]
    assert found == []
