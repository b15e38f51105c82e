"""Chalice's app class, changed so that it can serve several requests at the same time."""

import threading
from typing import Any

from chalice import Chalice


class ThreadedChalice(Chalice):
    """Stores the current request and its context for each thread separately.

    Chalice stores them in plain attributes, because a Lambda instance serves one request at a time. The
    local stack serves the same app with several threads.
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
