"""Endpoints of the Test Interface: their paths, without the package itself.

The paths exist on every stage, so that one REST API fits every setting. If TEST_INTERFACE is on, the
first request loads the package; otherwise the answer is that there is no such endpoint (TESTIF-07).
"""

from collections.abc import Callable, Mapping

from chalice.app import Blueprint

from chalicelib.api.boundary import Call, Reply, Resource, View, register
from chalicelib.domain.errors import UnknownOrIncorrectEndpointError

_BASE = "/api/openbooking/test-interface"
PATHS = {
    f"{_BASE}/datasets/{{dataset}}": {"DELETE": "delete_dataset"},
    f"{_BASE}/datasets/{{dataset}}/opportunities": {"POST": "create_opportunity"},
    f"{_BASE}/actions": {"POST": "simulate"},
}


def blueprint(load: Callable[[], Mapping[str, View]]) -> Blueprint:
    """The routes of the Test Interface; `load` returns its views by name."""

    def lazy(name: str) -> View:
        def view(call: Call) -> Reply:
            if not call.system.settings.test_interface:
                raise UnknownOrIncorrectEndpointError("There is no such endpoint.")
            return load()[name](call)

        return view

    routes = Blueprint(__name__)
    for path, names in PATHS.items():
        register(routes, Resource(path, {verb: lazy(name) for verb, name in names.items()}))
    return routes
