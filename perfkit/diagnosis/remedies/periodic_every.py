"""Other work between epochs half as often: checkpoints, logs, whatever the training does there.

3 % is XProf's threshold for "all other" time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.predict import pipeline_of
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

if TYPE_CHECKING:
    from perfkit.diagnosis.judge import Judgement

OWN_REMEDY = ("metrics", "visualisation")
SNIPPET = """\
if epoch % {every} == 0:
    periodic_work(model, epoch)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return the costliest task half as often, where it takes time and has no remedy of its own."""
    now, found = pipeline_of(evidence), evidence.attribution
    if now is None or found is None:
        return None
    tasks = {name: task for name, task in now.periodic.items() if name not in OWN_REMEDY}
    if not tasks:
        return None
    name = max(tasks, key=lambda task: tasks[task].epoch_s)
    cost_s, every = tasks[name].epoch_s, 2 * tasks[name].every
    if cost_s < _seen.OTHER_SHARE * found.epoch_s:
        return None
    what = "Work" if name == "periodic" else f"{name!r}"
    return Proposal(
        why=f"{what} between epochs costs {_seen.of_epoch(evidence, cost_s)}.",
        risk="A checkpoint that is rarer loses more when a run breaks off; the training stays the same.",
        snippet=SNIPPET.format(every=every),
        effect=_seen.less_often(name, every),
    )
