"""Every cell of the proposals' table, and of the items': allowed ones happen, others are refused."""

import itertools

import pytest

from chalicelib.domain.lifecycle import (
    PROPOSAL_TRANSITIONS,
    REJECTED,
    ProposalEvent,
    ProposalStatus,
    TransitionRefused,
    next_proposal_status,
)

AWAITING, ACCEPTED = ProposalStatus.AwaitingSellerConfirmation, ProposalStatus.SellerAccepted
ALLOWED = {
    (AWAITING, ProposalEvent.accept): ACCEPTED,
    (AWAITING, ProposalEvent.seller_rejects): ProposalStatus.SellerRejected,
    (AWAITING, ProposalEvent.customer_rejects): ProposalStatus.CustomerRejected,
    (AWAITING, ProposalEvent.amend): AWAITING,
    (ACCEPTED, ProposalEvent.seller_rejects): ProposalStatus.SellerRejected,
    (ACCEPTED, ProposalEvent.customer_rejects): ProposalStatus.CustomerRejected,
    (ACCEPTED, ProposalEvent.amend): AWAITING,
}


@pytest.mark.parametrize(("status", "event"), list(itertools.product(ProposalStatus, ProposalEvent)))
def test_every_cell(status: ProposalStatus, event: ProposalEvent) -> None:
    if (status, event) in ALLOWED:
        assert next_proposal_status(status, event) is ALLOWED[status, event]
    else:
        with pytest.raises(TransitionRefused):
            next_proposal_status(status, event)


def test_rejected_proposals_are_at_their_end() -> None:
    assert all(PROPOSAL_TRANSITIONS[status] == {} for status in REJECTED)
