"""The error for a published document that cannot be added to the inventory."""

from enum import StrEnum


class Cause(StrEnum):
    """What is wrong with the document, for advice on how to correct it."""

    other = "other"
    kind = "kind"  # its `@type`
    id = "id"  # its `@id`
    parent = "parent"  # what it inherits from
    seller = "seller"  # it names none
    seller_id = "seller_id"
    tax_mode = "tax_mode"
    time = "time"  # its start, end or duration
    spaces = "spaces"  # how many are left
    size = "size"
    shape = "shape"  # the structure of a property
    schedule = "schedule"  # a schedule instead of sessions
    source = "source"  # it belongs to another source, or to this system


class Unreadable(Exception):
    """The document cannot be added to the inventory. The message is the reason, for people."""

    def __init__(self, reason: str, cause: Cause = Cause.other) -> None:
        super().__init__(reason)
        self.cause = cause
