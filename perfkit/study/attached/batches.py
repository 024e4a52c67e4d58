"""The batches of a watched training: who made them, and what their making was seen in. Pure."""

from __future__ import annotations

from perfkit.diagnosis.evidence import OwnWork
from perfkit.records import WORKER_STACK, FetchRecord
from perfkit.study.attached import intervals
from perfkit.study.attached.loop import Loop
from perfkit.study.attached.read import Recorded, WorkerFile
from perfkit.study.seen import functions_in, known


def made(recorded: Recorded, loop: Loop) -> tuple[list[WorkerFile], list[FetchRecord]]:
    """The workers of the training, and the batches that they made for the steady steps.

    Workers of an evaluation write beside those of the training. A worker belongs to the training if most of
    its batches were made while that went on; a process that makes its own tells by the moment of each. Of
    several loaders that the training goes over, that counts which was waited for most.
    """
    asked = loop.passes.workers_of(loop.widest.number)
    others = loop.passes.workers_of(None) - asked
    trained = intervals.training(loop.passes.training)
    evaluated = intervals.evaluating(loop.passes.evaluation)

    def in_training(fetch: FetchRecord) -> bool:
        return trained.holds(fetch.end_ns) and not evaluated.holds(fetch.end_ns)

    workers: list[WorkerFile] = []
    found: list[FetchRecord] = []
    for worker in recorded.workers:
        if worker.pid in others or (asked and worker.pid == recorded.pid):
            continue
        own = [fetch for fetch in worker.fetches if in_training(fetch)]
        if worker.pid != recorded.pid and 2 * len(own) < len(worker.fetches):
            continue
        workers.append(worker)
        found += [f for f in own if loop.from_ns <= f.end_ns <= loop.to_ns]
    return workers, found


def making(recorded: Recorded, loop: Loop) -> dict[str, OwnWork]:
    """What the making of batches was seen in: in the training process, or in the workers of the training."""
    if not loop.widest.num_workers:
        return known(functions_in(recorded.told("batch_stack")))
    workers, _ = made(recorded, loop)
    training = {worker.pid for worker in workers}
    told = recorded.told(WORKER_STACK)
    return known(functions_in(one for one in told if one.get("worker") in training))
