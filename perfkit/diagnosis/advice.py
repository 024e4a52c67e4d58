"""Asking every rule there is about one row."""

from __future__ import annotations

from perfkit import discovery
from perfkit.diagnosis.evidence import Evidence
from perfkit.document import Finding


def advise(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what the rules find in a row, the largest share first; nothing of a row that failed.

    Raises:
        UsageError: a rule breaks the contract; the message names it.
    """
    if evidence.row.status != "ok":
        return ()
    found = [f for name in discovery.names("rules") if (f := _ask(name, evidence)) is not None]
    return tuple(sorted(found, key=lambda finding: -(finding.share or 0.0)))


def _ask(name: str, evidence: Evidence) -> Finding | None:
    kept = "what was measured is kept: go on with --resume latest"
    return discovery.ask("rules", name, "check(evidence)", evidence, answer=Finding, kept=kept)
