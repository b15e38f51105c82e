"""The app as Chalice's class has it, and as fit for several requests at the same time."""

import threading
from typing import Any

from chalice import Chalice


class ThreadedChalice(Chalice):
    """Keeps what belongs to the request that is being answered apart for each thread.

    Chalice keeps it in plain attributes, because an instance of a Lambda answers one request at a time.
    Where the same app is served on one machine, several threads answer.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._of_thread = threading.local()
        super().__init__(*arguments, **options)

    @property
    def current_request(self) -> Any:
        return getattr(self._of_thread, "current_request", None)

    @current_request.setter
    def current_request(self, value: Any) -> None:
        self._of_thread.current_request = value

    @property
    def lambda_context(self) -> Any:
        return getattr(self._of_thread, "lambda_context", None)

    @lambda_context.setter
    def lambda_context(self, value: Any) -> None:
        self._of_thread.lambda_context = value
