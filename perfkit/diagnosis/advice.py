"""Asking every rule there is about one row."""

from __future__ import annotations

from typing import Any

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.diagnosis.evidence import Evidence
from perfkit.document import Finding, Row
from perfkit.errors import UsageError


def advise(row: Row, config: RunConfig, environment: dict[str, Any]) -> tuple[Finding, ...]:
    """Return what the rules find in a row, the largest share first; nothing of a row that failed.

    Args:
        row: what was measured, usually the reference.
        config: the row's settings.
        environment: the Document's; `cores_usable` is read.

    Raises:
        UsageError: a rule breaks the contract; the message names it.
    """
    if row.status != "ok":
        return ()
    evidence = Evidence(row=row, config=config, cores=environment.get("cores_usable"))
    found = [f for name in discovery.names("rules") if (f := _ask(name, evidence)) is not None]
    return tuple(sorted(found, key=lambda finding: -finding.share))


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
            hint=f"mend {rule.__file__}; what was measured is kept: perfkit bench --resume latest",
        ) from error
    if finding is not None and not isinstance(finding, Finding):
        raise UsageError(f"rule {name}: check() should return a Finding or None, not {finding!r}")
    return finding
