"""From what was measured to what it means and what to try. Pure: results in, Findings out.

evidence.py     what a rule may look at
witnesses.py    what the timed blocks say of waiting and of contention
attribution.py  where an epoch goes, and what of it could be gone
rules/          one cause each
advice.py       asks every rule
judge.py        ranks what they found and decides; doubts.py why it cannot, rates.py, naive.py beside it
pipeline.py     the pipeline model: what an epoch takes
predict.py      that model made from measured.py, and what a change does to it
remedies/       one change each, and what it would save
"""

from perfkit.diagnosis.advice import advise
from perfkit.diagnosis.evidence import Evidence, severity

__all__ = ["Evidence", "advise", "severity"]
