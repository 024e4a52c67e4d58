"""What would make a training faster, one file each: `propose(evidence, judgement) -> Proposal | None`.

The contract is in `_contract.py`; a stranger's own are found in `PERFKIT_PATH/remedies`.
"""

from perfkit.diagnosis.remedies._command import combined
from perfkit.diagnosis.remedies._contract import Proposal
from perfkit.diagnosis.remedies._ranking import proposals, remedies

__all__ = ["Proposal", "combined", "proposals", "remedies"]
