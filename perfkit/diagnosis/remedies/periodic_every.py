"""Other work between epochs or steps half as often: checkpoints, logs, whatever the training does there.

3 % is XProf's threshold for "all other" time.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence, OwnWork
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import pipeline_of
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("periodic_bound",)
BETWEEN = ("work between steps", "work between epochs")
OWN_REMEDY = ("metrics", "visualisation")
RISK = "A checkpoint that is rarer loses more when a run breaks off; the training stays the same."
RISK_IN_STEPS = (
    "What only tells of the training can be rarer, or cheaper, and it stays the same; what takes part in it,"
    " such as clipping or an average of the weights, can only be made cheaper."
)
SNIPPET = """\
if epoch % {every} == 0:
    periodic_work(model, epoch)
"""
SNIPPET_OF_STEPS = """\
if step % {every} == 0:
    {call}
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
    work = evidence.work.get(name)
    after_steps = work is not None and work.between_steps
    return Proposal(
        why=f"{_what(name, work)} costs {_seen.of_epoch(evidence, cost_s)}.",
        risk=RISK_IN_STEPS if after_steps else RISK,
        snippet=_of_steps(name, work) if after_steps else SNIPPET.format(every=every),
        effect=_seen.less_often(name, every),
    )


def _what(name: str, work: OwnWork | None) -> str:
    """Name the work, and say when it is done."""
    called = "Work" if name == "periodic" or name in BETWEEN else f"{name!r}"
    if work is None or not work.between_steps:
        return f"{called} between epochs"
    if work.every_steps is None:
        return f"{called} in some of the steps"
    return f"{called} {'in every step' if work.every_steps == 1 else f'every {work.every_steps} steps'}"


def _of_steps(name: str, work: OwnWork | None) -> str:
    """The call half as often, by the number of the step."""
    every = None if work is None else work.every_steps
    function = name.partition(" (")[0]
    call = f"{function}(...)" if function.isidentifier() else "periodic_work(model, step)"
    told = "(2 * every)" if every is None else str(2 * every)
    return SNIPPET_OF_STEPS.format(every=told, call=call)
