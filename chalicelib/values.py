"""Value classes: dataclasses as the type checker knows them, made by msgspec when the program runs.

The standard library compiles the methods of each dataclass again in each process: a quarter of a minimal cold start for
those that the API imports. msgspec makes the same class in a fortieth of that time, and its instances in a tenth. The
type checker still checks every field, default and `replace`. See docs/decisions/0030-how-calls-are-made.md.

As in the standard library: `dataclass`, `field`, `fields`, `replace`, `astuple`, with what is used of them here. A class
with `cached_property` gets a `__dict__`, others have none.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import astuple, dataclass, field, fields, replace
else:
    from functools import cache, cached_property, partial
    from operator import attrgetter

    import msgspec
    from msgspec import structs
    from msgspec.structs import astuple, replace

    class _Uncompared:
        """A field that does not count when two values are compared."""

        def __init__(self, field):
            self.field = field

    _fields_of = cache(structs.fields)  # it evaluates the annotations: 0.1 ms for a class

    def fields(value):
        return _fields_of(value if isinstance(value, type) else type(value))

    def field(*, compare=True, **default):
        made = msgspec.field(**default)
        return made if compare else _Uncompared(made)

    def dataclass(cls=None, /, *, frozen=False, kw_only=False):
        if cls is None:
            return partial(dataclass, frozen=frozen, kw_only=kw_only)
        if issubclass(cls, msgspec.Struct):
            # Made by its class statement, because what it inherits from is one.
            return cls
        body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        uncompared = {name: value.field for name, value in body.items() if isinstance(value, _Uncompared)}
        if uncompared:
            body |= uncompared | _comparison(
                [name for name in body["__annotations__"] if name not in uncompared]
            )
        bases = [base for base in cls.__bases__ if base is not object]
        return type(msgspec.Struct)(
            cls.__name__,
            (*bases, msgspec.Struct),
            body,
            frozen=frozen,
            kw_only=kw_only,
            dict=any(base.__dictoffset__ for base in bases)
            or any(isinstance(value, cached_property) for value in body.values()),
        )

    def _comparison(names):
        values = attrgetter(*names)

        def __eq__(self, other):
            return values(self) == values(other) if type(other) is type(self) else NotImplemented

        def __hash__(self):
            return hash(values(self))

        return {"__eq__": __eq__, "__hash__": __hash__}


__all__ = ["astuple", "dataclass", "field", "fields", "replace"]
