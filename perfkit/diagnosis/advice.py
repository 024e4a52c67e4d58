"""Asking every rule there is about one row."""

from __future__ import annotations

from perfkit import discovery
from perfkit.diagnosis.evidence import Evidence
from perfkit.document import Finding
from perfkit.errors import UsageError


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
    rule = discovery.load("rules", name)
    check = getattr(rule, "check", None)
    if check is None:
        raise UsageError(f"rule {name}: {rule.__file__} has no function check(evidence)")
    try:
        finding = check(evidence)
    except Exception as error:
        raise UsageError(
            f"rule {name} failed: {type(error).__name__}: {error}",
            hint=f"mend {rule.__file__}; what was measured is kept: go on with --resume latest",
        ) from error
    if finding is not None and not isinstance(finding, Finding):
        raise UsageError(f"rule {name}: check() should return a Finding or None, not {finding!r}")
    return finding
