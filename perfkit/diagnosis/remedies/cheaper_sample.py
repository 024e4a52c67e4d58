"""The function in which most of a batch is made, made cheaper: whole arrays in place of loops, or done once.

Samples of the stack name it, in loader workers or where the training process makes its batches itself. What
it will take is seen only when it runs, so that the gain is a bound: its part of a batch at nothing.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit import units
from perfkit.diagnosis import figures
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("input_bound/decode", "contended")
SNIPPET = """\
# {where}
# whole arrays in place of a loop over their elements; a large image made small before it is worked on;
# what is the same in every epoch done once and stored
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where one function takes most of a batch, and batches are late or cores are fought for."""
    facts, taken = evidence.loader, figures.taken_by(evidence.making)
    if facts is None or taken is None or not facts.fetch_s:
        return None
    where, share = taken
    late = _seen.stage(judgement) == "decode" and _seen.late_s(evidence) > 0
    if figures.is_special(where) or not (late or _seen.verdict(judgement, "contended")):
        return None
    left = 1 - share
    less = replace(
        facts,
        fetch_s=facts.fetch_s * left,
        fetch_cpu_s=None if facts.fetch_cpu_s is None else facts.fetch_cpu_s * left,
    )
    function, _, place = where.partition(" (")
    return Proposal(
        why=f"{units.share(share)} of making a batch was seen in {function}, {place.rstrip(')')}.",
        risk="What it gives has to stay the same, or the training sees other data.",
        snippet=SNIPPET.format(where=where),
        effect=_seen.makes(facts, less, evidence),
        basis="bound",
    )
