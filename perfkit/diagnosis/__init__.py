"""From what was measured to what it means and what to try. Pure: results in, Findings out."""

from perfkit.diagnosis.advice import advise
from perfkit.diagnosis.evidence import Evidence, severity

__all__ = ["Evidence", "advise", "severity"]
