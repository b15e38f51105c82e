"""One TransactWriteItems, with a reason for each condition that may fail."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.update import Update
from pynamodb.models import Model

from chalicelib.storage.dynamodb.calls import PASSING, Raw, busy_with, passing_faults, row_name
from chalicelib.storage.errors import CommitRefused, OrderTooLarge, Reason, StoreBusy, StoreContended
from chalicelib.storage.store import MAX_ACTIONS
from chalicelib.values import dataclass

Explain: TypeAlias = Callable[[Raw | None], Reason | None]
Name: TypeAlias = Callable[[], str]  # the name of a row, which is only needed in an error


@dataclass(frozen=True)
class _Action:
    """The request of one action, the name of its row, and what explains why its condition did not hold."""

    request: dict[str, Any]
    name: Name
    explain: Explain


class Transaction:
    """Writes that take effect together or not at all.

    PynamoDB turns conditions and actions into expressions; the requests around them are made here, in less time
    (decision 30).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # PynamoDB sends checks, then deletes, then puts, then updates, in any order of calls; the reasons
        # of a refusal are returned in that order.
        self._checks: list[_Action] = []
        self._deletes: list[_Action] = []
        self._puts: list[_Action] = []
        self._updates: list[_Action] = []

    def check(
        self,
        model: type[Model],
        hash_key: str,
        condition: Any,
        reason: Reason | None = None,
        *,
        range_key: str | None = None,
    ) -> None:
        """A condition on a row that is not written."""
        request = _request(model, "Key", _key(model, hash_key, range_key), condition)
        key = (hash_key, range_key) if range_key else (hash_key,)
        name = partial(row_name, model.Meta.table_name, *key)
        self._checks.append(_Action(request, name, lambda _: reason))

    def delete(self, row: Model, condition: Any, reason: Reason | None = None) -> None:
        request = _request(type(row), "Key", _key_of(row), condition)
        self._deletes.append(_Action(request, partial(_name, row), lambda _: reason))

    def put(self, row: Model, condition: Any = None, reason: Reason | None = None) -> None:
        request = _request(type(row), "Item", row.serialize(), condition)
        self._puts.append(_Action(request, partial(_name, row), lambda _: reason))

    def put_row(
        self, model: type[Model], row: Raw, condition: Any = None, reason: Reason | None = None
    ) -> None:
        """A row in DynamoDB's own format; `condition` is PynamoDB's, or its text if it needs no names and values."""
        request = _request(model, "Item", row, condition)
        keys = (str(model._hash_keyname), model._range_keyname)
        name = partial(row_name, model.Meta.table_name, *(str(row[key]["S"]) for key in keys if key))
        self._puts.append(_Action(request, name, lambda _: reason))

    def put_new(self, model: type[Model], row: Raw, reason: Reason | None = None) -> None:
        """A row that must not exist."""
        self.put_row(model, row, f"attribute_not_exists({model._hash_keyname})", reason)

    def count(
        self, model: type[Model], key: Raw, more: Mapping[str, int], removed: Sequence[str] = ()
    ) -> None:
        """Add to numbers of a row, and remove others from it, whatever it has; in DynamoDB's own format."""
        names = {f"#{n}": name for n, name in enumerate((*more, *removed))}
        added = ", ".join(f"#{n} :{n}" for n in range(len(more)))
        gone = ", ".join(f"#{n}" for n in range(len(more), len(names)))
        table = model.Meta.table_name
        counted: dict[str, Any] = {
            "TableName": table,
            "Key": key,
            "UpdateExpression": " ".join(
                f"{verb} {what}" for verb, what in (("ADD", added), ("REMOVE", gone)) if what
            ),
            "ExpressionAttributeNames": names,
        }
        if more:
            values = {f":{n}": {"N": str(number)} for n, number in enumerate(more.values())}
            counted["ExpressionAttributeValues"] = values
        name = partial(row_name, table, *(str(each["S"]) for each in key.values()))
        self._updates.append(_Action(counted, name, lambda _: None))

    def update(
        self, row: Model, actions: list[Any], condition: Any = None, explain: Explain = lambda _: None
    ) -> None:
        """`explain` returns the reason for the row as it was found, or for None if there was no row."""
        request = _request(type(row), "Key", _key_of(row), condition, actions)
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        self._updates.append(_Action(request, partial(_name, row), explain))

    def write(self) -> None:
        """Raises CommitRefused with every known reason, StoreBusy if the failure is temporary.

        StoreContended is the StoreBusy that only other transactions on the same rows have caused.
        """
        written = [*self._checks, *self._deletes, *self._puts, *self._updates]
        if len(written) > MAX_ACTIONS:
            raise OrderTooLarge(f"{len(written)} rows do not fit one transaction")
        try:
            with passing_faults(rows=lambda: [each.name() for each in written]):
                self._connection.transact_write_items(
                    condition_check_items=[each.request for each in self._checks],
                    delete_items=[each.request for each in self._deletes],
                    put_items=[each.request for each in self._puts],
                    update_items=[each.request for each in self._updates],
                )
        except TransactWriteError as error:
            codes = [cause.code for cause in error.cancellation_reasons if cause is not None]
            if passing := PASSING.intersection(codes):
                busy = [
                    each.name()
                    for cause, each in zip(error.cancellation_reasons, written, strict=True)
                    if cause is not None and cause.code in PASSING
                ]
                kind = StoreContended if passing == {"TransactionConflict"} else StoreBusy
                raise kind(busy_with(", ".join(sorted(passing)), busy)) from error
            if "ConditionalCheckFailed" not in codes:
                raise
            reasons = [
                each.explain(cause.raw_item)
                for cause, each in zip(error.cancellation_reasons, written, strict=True)
                if cause is not None and cause.code == "ConditionalCheckFailed"
            ]
            raise CommitRefused([reason for reason in reasons if reason is not None]) from error


def _request(
    model: type[Model], kind: str, place: Raw, condition: Any, actions: list[Any] | None = None
) -> dict[str, Any]:
    """The request of an action on one row; `kind` is whether `place` is all of it, or its key."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    request: dict[str, Any] = {"TableName": model.Meta.table_name, kind: place}
    if condition is not None:
        request["ConditionExpression"] = (
            condition if isinstance(condition, str) else condition.serialize(names, values)
        )
    if actions is not None:
        request["UpdateExpression"] = Update(*actions).serialize(names, values)
    if names:
        request["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in names.items()}
    if values:
        request["ExpressionAttributeValues"] = values
    return request


def _key_of(row: Model) -> Raw:
    model = type(row)
    hash_key, range_key = str(model._hash_keyname), model._range_keyname
    return _key(model, getattr(row, hash_key), getattr(row, range_key) if range_key else None)


def _key(model: type[Model], hash_key: Any, range_key: Any = None) -> Raw:
    attributes = model.get_attributes()
    parts = [(str(model._hash_keyname), hash_key)]
    if model._range_keyname is not None and range_key is not None:
        parts.append((model._range_keyname, range_key))
    return {
        attributes[name].attr_name: {attributes[name].attr_type: attributes[name].serialize(value)}
        for name, value in parts
    }


def _name(row: Model) -> str:
    keys = (row._hash_keyname, row._range_keyname)
    return row_name(row.Meta.table_name, *(str(getattr(row, key)) for key in keys if key))
