"""What would make a training faster, one file each: `propose(evidence, judgement) -> Proposal | None`.

The contract is in `_contract.py`; a stranger's own are found in `PERFKIT_PATH/remedies`.
"""

from perfkit.diagnosis.remedies._combination import COMBINATION, combination, members
from perfkit.diagnosis.remedies._command import changed, combined, names_of
from perfkit.diagnosis.remedies._contract import Proposal
from perfkit.diagnosis.remedies._ranking import proposals, rank, remedies

__all__ = [
    "COMBINATION",
    "Proposal",
    "changed",
    "combination",
    "combined",
    "members",
    "names_of",
    "proposals",
    "rank",
    "remedies",
]
