"""What really took the time of an epoch, from the list of what happened and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from simulated_loader import Job
from simulated_training import Machine

from perfkit.diagnosis.evidence import Burst

PARTS = {
    "waiting": "waiting", "transfer": "transfer", "h2d": "h2d", "compute": "compute",
    "launch": "host_launch", "rest": "other", "startup": "startup", "eval": "eval",
    "periodic": "periodic", "other": "other",
}  # fmt: skip
BETWEEN = ("eval", "periodic")


def wall_s(job: Job) -> float:
    """Return the mean seconds of an epoch of a run."""
    machine = Machine(job)
    first_ns, second_ns = machine.run()
    each_ns = first_ns - machine.begun_ns, second_ns - first_ns
    not_due_s = job.periodic_ns * 1e-9 * (1 - 1 / job.every)
    return sum(ns * 1e-9 * _share(job, epoch) for epoch, ns in enumerate(each_ns)) - not_due_s


def _share(job: Job, epoch: int) -> float:
    """Of all epochs of a run, those that are as this one."""
    return 1 / job.epochs if epoch == 0 else 1 - 1 / job.epochs


def by_step(machine: Machine) -> dict[tuple[int, str], int]:
    """Return nanoseconds by step and what they went into.

    The device computes or copies, or is idle; then it is what the host does meanwhile.
    """
    found: dict[tuple[int, str], int] = defaultdict(int)
    for kernel in machine.ran():
        found[kernel.step, kernel.what] += kernel.end_ns - kernel.start_ns
    for idle_ns, step, what in _idle(machine):
        found[step, what] += idle_ns
    assert sum(found.values()) == machine.now_ns - machine.begun_ns, "time that nobody noted"
    return found


def _idle(machine: Machine) -> Iterator[tuple[int, int, str]]:
    """Yield what the host did while the device had nothing to do: nanoseconds, step, what."""
    kernels = iter([*machine.ran(), None])
    kernel = next(kernels)
    for did in machine.did:
        begin_ns = did.start_ns
        while begin_ns < did.end_ns:
            while kernel is not None and kernel.end_ns <= begin_ns:
                kernel = next(kernels)
            until_ns = did.end_ns if kernel is None else min(did.end_ns, kernel.start_ns)
            if until_ns > begin_ns:
                yield until_ns - begin_ns, did.step, did.what
            begin_ns = did.end_ns if kernel is None else max(until_ns, kernel.end_ns)


def exclusive_s(job: Job, first: int) -> dict[str, float]:
    """Return the mean seconds of an epoch by part; their sum is its wall clock.

    A step's parts are those of the steps after the `first` ones of every epoch; what an epoch takes longer
    than as many such steps is its start.
    """
    machine = Machine(job)
    machine.run()
    parts: dict[str, float] = defaultdict(float)
    for (step, what), spent_ns in by_step(machine).items():
        part, place = PARTS[what], step % job.steps
        if part == "host_launch" and (job.item or not job.pinned):
            # the device idles for a launch because something has made the host wait until it is idle
            part = "sync"
        # what comes between epochs comes after the last step
        between = part in BETWEEN
        spent_s = spent_ns * 1e-9 * _share(job, min(1, (step - between) // job.steps))
        if between:
            parts[part] += spent_s / (job.every if part == "periodic" else 1)
            continue
        parts["startup"] += spent_s
        if place >= first:
            spent_s *= job.steps / (job.steps - first)
            parts[part] += spent_s
            parts["startup"] -= spent_s
    if job.item:
        # what of handing over is hidden where nothing has made the host wait
        alone_s = exclusive_s(without(job, "sync"), first)["transfer"]
        hidden_s = max(0.0, parts["transfer"] - alone_s)
        parts["transfer"] -= hidden_s
        parts["sync"] += hidden_s
    return parts


def without(job: Job, part: str) -> Job:
    """Return the job with one cause at zero."""
    if part == "waiting":
        return replace(job, make_later_ns=(0,))
    if part == "transfer":
        return replace(job, take_ns=0)
    if part == "h2d":
        return replace(job, copy_ns=0, copy_python_ns=0)
    if part == "sync":
        return replace(job, item=False, pinned=True)
    if part == "host_launch":
        return replace(job, launch_ns=0, python_ns=0)
    if part == "periodic":
        return replace(job, periodic_ns=0)
    if part == "eval":
        return replace(job, evaluation_ns=())
    assert part == "startup"
    return replace(job, start_ns=0, iter_ns=0, first_batch_ns=0, compile_ns=0)


def removable_s(job: Job, part: str) -> float:
    """Return what an epoch saves without one cause."""
    return wall_s(job) - wall_s(without(job, part))


def burst(machine: Machine, after: int, step_s: float) -> Burst:
    """Return what a profiler sees of the device in the steps before number `after`.

    Args:
        step_s: a step without the profiler.
    """
    job = machine.job
    steps = len(job.make_ns)
    seen = range(after - steps, after)
    kernels = [r for r in machine.ran() if r.what == "compute" and r.step in seen]
    busy_s = sum(r.end_ns - r.start_ns for r in kernels) * 1e-9
    calls = {"train.py:20 (item)": job.item, "train.py:12 (to)": not job.pinned}
    return Burst(
        steps=steps,
        busy_share=busy_s / steps / step_s,
        launches=len(kernels) / steps,
        synchronising={place: 1.0 for place, is_there in calls.items() if is_there},
    )
