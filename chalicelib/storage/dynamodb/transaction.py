"""One TransactWriteItems, with a reason for each condition that may fail."""

from collections.abc import Callable
from typing import Any, TypeAlias

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.storage.dynamodb.calls import PASSING, Raw, passing_faults
from chalicelib.storage.errors import CommitRefused, OrderTooLarge, Reason, StoreBusy, StoreContended
from chalicelib.storage.store import MAX_ACTIONS

Explain: TypeAlias = Callable[[Raw | None], Reason | None]


class Transaction:
    """Writes that take effect together or not at all."""

    def __init__(self, connection: Connection) -> None:
        self._transaction = TransactWrite(connection=connection)
        # PynamoDB sends checks, then deletes, then puts, then updates, whatever the order of calls; the
        # reasons of a refusal come back in that order.
        self._checks: list[Explain] = []
        self._deletes: list[Explain] = []
        self._puts: list[Explain] = []
        self._updates: list[Explain] = []

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
        self._checks.append(lambda _: reason)

    def delete(self, row: Model, condition: Any, reason: Reason | None = None) -> None:
        self._transaction.delete(row, condition=condition)
        self._deletes.append(lambda _: reason)

    def put(self, row: Model, condition: Any = None, reason: Reason | None = None) -> None:
        self._transaction.save(row, condition=condition)
        self._puts.append(lambda _: reason)

    def update(
        self, row: Model, actions: list[Any], condition: Any = None, explain: Explain = lambda _: None
    ) -> None:
        """`explain` makes the reason from the row as it was found, None where there was none."""
        self._transaction.update(row, actions=actions, condition=condition, return_values="ALL_OLD")
        self._updates.append(explain)

    def write(self) -> None:
        """Raises CommitRefused with every reason that can be told, StoreBusy where it should pass.

        StoreContended is the StoreBusy that only other transactions on the same rows have caused.
        """
        explanations = [*self._checks, *self._deletes, *self._puts, *self._updates]
        if len(explanations) > MAX_ACTIONS:
            raise OrderTooLarge(f"{len(explanations)} rows do not fit one transaction")
        try:
            with passing_faults(), self._transaction:
                pass
        except TransactWriteError as error:
            codes = [cause.code for cause in error.cancellation_reasons if cause is not None]
            if passing := PASSING.intersection(codes):
                busy = StoreContended if passing == {"TransactionConflict"} else StoreBusy
                raise busy(", ".join(codes)) from error
            if "ConditionalCheckFailed" not in codes:
                raise
            reasons = [
                explain(cause.raw_item)
                for cause, explain in zip(error.cancellation_reasons, explanations, strict=True)
                if cause is not None and cause.code == "ConditionalCheckFailed"
            ]
            raise CommitRefused([reason for reason in reasons if reason is not None]) from error
