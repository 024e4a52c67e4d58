"""Steps that stay as short as they were at the beginning: nothing that grows is carried from one to the next.

What makes them longer is for the script's author to find; its kind is told by where they grow: a graph that
nothing detaches ("Frequently Asked Questions" of PyTorch, "My model reports 'cuda runtime error(2): out of
memory'"), hooks that are registered again and again, a list that is gone through. That all of it can go is
not known, so that the gain is a bound.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit.diagnosis import figures
from perfkit.diagnosis.evidence import Evidence, Growth
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("compute_bound", "host_bound", "input_bound", "periodic_bound", "untracked")
COMPUTED = """\
hidden = hidden.detach()  # what is carried to the next step keeps the graphs of all steps before
total += loss.item()
handle.remove()  # of a hook that is registered in the loop
"""
GATHERED = """\
correct += int((predicted == targets).sum())  # in place of torch.cat(all_predicted) in each step
"""
MADE = """\
seen = set()  # in place of a list that is searched from its beginning for each sample
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where the steps of a script were seen to get longer."""
    growth = evidence.growth
    if growth is None:
        return None
    snippet = {"waiting": MADE, "other": GATHERED}.get(growth.part, COMPUTED)
    return Proposal(
        why=figures.of_growth(growth),
        risk="Where it is meant to grow, with the length of the texts, say, it has to.",
        snippet=snippet,
        effect=lambda pipeline: _without(pipeline, growth),
        basis="bound",
    )


def _without(pipeline: Pipeline, growth: Growth) -> Pipeline:
    """Return it with steps as they were at first."""
    saved_s = max(0.0, growth.mean_s - growth.first_s)
    if growth.part == "waiting":
        left = 1 - min(1.0, saved_s / pipeline.production_s) if pipeline.production_s > 0 else 1.0
        return pipeline.produces(blocked_s=pipeline.blocked_s * left, cpu_s=pipeline.cpu_s * left)
    if growth.part != "other":
        left_s = max(0.0, pipeline.compute_s + pipeline.update_s - saved_s)
        compute_s = min(pipeline.compute_s, left_s)
        return replace(pipeline, compute_s=compute_s, update_s=left_s - compute_s)
    saved_s *= pipeline.batches
    name = max(pipeline.periodic, key=lambda one: pipeline.periodic[one].epoch_s, default=None)
    if name is None or pipeline.periodic[name].epoch_s < saved_s:
        return replace(pipeline, rest_s=pipeline.rest_s - min(saved_s, max(0.0, pipeline.rest_s)))
    task = pipeline.periodic[name]
    shorter = replace(task, run_s=task.run_s - saved_s * task.every)
    return replace(pipeline, periodic={**pipeline.periodic, name: shorter})
