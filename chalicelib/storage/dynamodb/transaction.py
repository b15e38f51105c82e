"""One TransactWriteItems, with a reason for each condition that may fail."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.storage.dynamodb.calls import PASSING, Raw, busy_with, passing_faults, row_name
from chalicelib.storage.errors import CommitRefused, OrderTooLarge, Reason, StoreBusy, StoreContended
from chalicelib.storage.store import MAX_ACTIONS

Explain: TypeAlias = Callable[[Raw | None], Reason | None]
Name: TypeAlias = Callable[[], str]  # the name of a row, which is only needed in an error


class Transaction:
    """Writes that take effect together or not at all."""

    def __init__(self, connection: Connection) -> None:
        self._transaction = TransactWrite(connection=connection)
        # PynamoDB sends checks, then deletes, then puts, then updates, in any order of calls; the reasons
        # of a refusal are returned in that order. Each action has the name of its row.
        self._checks: list[tuple[Name, Explain]] = []
        self._deletes: list[tuple[Name, Explain]] = []
        self._puts: list[tuple[Name, Explain]] = []
        self._updates: list[tuple[Name, Explain]] = []

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
        self._transaction.condition_check(model, hash_key, range_key, condition=condition)
        key = (hash_key, range_key) if range_key else (hash_key,)
        self._checks.append((partial(row_name, model.Meta.table_name, *key), lambda _: reason))

    def delete(self, row: Model, condition: Any, reason: Reason | None = None) -> None:
        self._transaction.delete(row, condition=condition)
        self._deletes.append((partial(_name, row), lambda _: reason))

    def put(self, row: Model, condition: Any = None, reason: Reason | None = None) -> None:
        self._transaction.save(row, condition=condition)
        self._puts.append((partial(_name, row), lambda _: reason))

    def put_new(self, model: type[Model], row: Raw, reason: Reason | None = None) -> None:
        """A row that must not exist, in DynamoDB's own format: making it by PynamoDB takes many times longer."""
        table = model.Meta.table_name
        hash_key = str(model._hash_keyname)
        put = {"TableName": table, "Item": row, "ConditionExpression": f"attribute_not_exists({hash_key})"}
        self._transaction._put_items.append(put)
        keys = (hash_key, model._range_keyname)
        name = partial(row_name, table, *(str(row[key]["S"]) for key in keys if key))
        self._puts.append((name, lambda _: reason))

    def update(
        self, row: Model, actions: list[Any], condition: Any = None, explain: Explain = lambda _: None
    ) -> None:
        """`explain` returns the reason for the row as it was found, or for None if there was no row."""
        self._transaction.update(row, actions=actions, condition=condition, return_values="ALL_OLD")
        self._updates.append((partial(_name, row), explain))

    def write(self) -> None:
        """Raises CommitRefused with every known reason, StoreBusy if the failure is temporary.

        StoreContended is the StoreBusy that only other transactions on the same rows have caused.
        """
        written = [*self._checks, *self._deletes, *self._puts, *self._updates]
        if len(written) > MAX_ACTIONS:
            raise OrderTooLarge(f"{len(written)} rows do not fit one transaction")
        try:
            with passing_faults(rows=lambda: [name() for name, _ in written]), self._transaction:
                pass
        except TransactWriteError as error:
            codes = [cause.code for cause in error.cancellation_reasons if cause is not None]
            if passing := PASSING.intersection(codes):
                busy = [
                    name()
                    for cause, (name, _) in zip(error.cancellation_reasons, written, strict=True)
                    if cause is not None and cause.code in PASSING
                ]
                kind = StoreContended if passing == {"TransactionConflict"} else StoreBusy
                raise kind(busy_with(", ".join(sorted(passing)), busy)) from error
            if "ConditionalCheckFailed" not in codes:
                raise
            reasons = [
                explain(cause.raw_item)
                for cause, (_, explain) in zip(error.cancellation_reasons, written, strict=True)
                if cause is not None and cause.code == "ConditionalCheckFailed"
            ]
            raise CommitRefused([reason for reason in reasons if reason is not None]) from error


def _name(row: Model) -> str:
    keys = (row._hash_keyname, row._range_keyname)
    return row_name(row.Meta.table_name, *(str(getattr(row, key)) for key in keys if key))
