"""The endpoints of the Test Interface: each reads a request, runs it, and returns what was created."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from chalicelib.api.boundary import Call, Reply, View
from chalicelib.domain.errors import TestInterfaceRefusedError
from chalicelib.domain.lifecycle import TransitionRefused
from chalicelib.sandbox.requests import TestInterfaceRefused
from chalicelib.services import clearing
from chalicelib.storage.errors import StoreBusy
from chalicelib.test_interface.actions import act, publish
from chalicelib.test_interface.requests import read_action, read_opportunity_request
from chalicelib.wire.jsonld import CONTEXT, read_body

_CONTEXT = [CONTEXT, "https://openactive.io/test-interface"]

# Seconds of the 29 that API Gateway waits for a request; the sweep clears the rest.
_CLEARS_FOR = 15.0

T = TypeVar("T")


def delete_dataset(call: Call) -> Reply:
    """Delete a test dataset: its Opportunities, their parents, every Order that holds one (TESTIF-01).

    Everything in it is recorded as pending work; the sweep deletes what the request does not.
    """
    system = call.system
    clearing.note_clearing(system.pending, call.params["dataset"], system.new_id)
    with suppress(StoreBusy):  # the sweep continues
        system.worker.run_kind(clearing.KIND, _CLEARS_FOR)
    return Reply(204)


def create_opportunity(call: Call) -> Reply:
    """Create an Opportunity that meets the criteria, published like any other (TESTIF-02)."""
    call.caller()
    request = _understood(lambda: read_opportunity_request(read_body(call.body()), call.base_url))
    opportunity_id = _understood(lambda: publish(call.system, request, call.params["dataset"]))
    return Reply(201, {"@context": _CONTEXT, "@type": request.type.value, "@id": opportunity_id})


def simulate(call: Call) -> Reply:
    """Run a Seller's action (TESTIF-06)."""
    caller = call.caller()
    action = _understood(lambda: read_action(read_body(call.body()), call.base_url))
    _understood(lambda: act(call.system, action, caller.partner_id))
    return Reply(204)


def _understood(do: Callable[[], T]) -> T:
    try:
        return do()
    except (TestInterfaceRefused, TransitionRefused) as refusal:
        raise TestInterfaceRefusedError(str(refusal)) from None


# By their names in api.test_interface_routes.
VIEWS: Mapping[str, View] = {
    "delete_dataset": delete_dataset,
    "create_opportunity": create_opportunity,
    "simulate": simulate,
}
