"""Share of the epoch that the device idled waiting for a batch.

Why it matters: every other part of the training stands still for it, and a faster model only waits
longer. What to try: where batches were not ready, more loader workers while there are cores for them, else
less work per sample; where they were ready, fewer and larger tensors to hand over, or less computing in
workers whose interpreter hands them over late; where samples come from memory, whole batches at once.
Source: the thresholds are those of the TensorFlow input-pipeline analyzer (XProf): 5 % moderate, 20 % high.
"""

from __future__ import annotations

from dataclasses import replace

from perfkit import units
from perfkit.diagnosis import figures, interpreter, witnesses
from perfkit.diagnosis.attribution import attributed, per_step_s
from perfkit.diagnosis.evidence import Attribution, Evidence, severity
from perfkit.document import Finding
from perfkit.stats import Interval

MODERATE_SHARE = 0.05
HIGH_SHARE = 0.20
BUSY = 0.9
"""Workers that are busy this part of their time have no rest."""
MOSTLY = 0.5
"""From this part on, getting batches is mostly taking over ones that were ready."""
IN_MEMORY_S = 30e-6
"""A sample that is fetched and collated in less comes from memory. Indexing a tensor and stacking it took
3 µs, decoding a small JPEG (32 pixels) alone 75 µs, on one core of a 2024 server."""
COMPUTING = ("decode", "collate")
"""Stages whose work takes cores, so that with them what the workers take from the trainer goes, too."""


def check(evidence: Evidence) -> Finding | None:
    """Return the exposed wait for batches as a share of the epoch, where it is moderate or high."""
    found = attributed(evidence)
    if found is None or found.step_s is None or "waiting" not in found.removable_s:
        return None
    wait_s = per_step_s(evidence, found, _wait_s(found))
    share = _wait_s(found) / found.epoch_s
    judged = severity(share, MODERATE_SHARE, HIGH_SHARE)
    if judged is None:
        return None
    unit = units.time_unit([wait_s, found.step_s])
    handed = _handing_over(evidence, found)
    mostly = (
        "" if handed is None else f", {units.share(handed)} of it handing over ones that were ready"
    )
    stage = _stage(evidence, found)
    parts = _parts(evidence, found, stage)
    return Finding(
        kind="input_bound",
        severity=judged,
        share=share,
        message=(
            f"The device waits for batches during {units.share(share)} of the epoch:"
            f" {units.seconds(wait_s, unit)} of a step of {units.seconds(found.step_s, unit)}{mostly}."
        ),
        try_next=_advice(evidence, found, stage),
        stage=stage,
        where=None if stage == "transfer" else figures.maker(evidence),
        flags=_flags(evidence, found, stage),
        removable_s=figures.together(_without_handing_over(evidence, found), parts),
        evidence=tuple(_witnesses(evidence, found, stage, parts)),
    )


def _parts(evidence: Evidence, found: Attribution, stage: str | None) -> list[str]:
    """What goes with the cause: batches that are made in time still have to be handed over."""
    facts = evidence.loader
    late = stage in (None, "transfer") or _is_held_up(evidence, found)
    parts = ["waiting", "transfer"] if late else ["waiting"]
    computes = stage in COMPUTING
    if stage == "transfer" and facts is not None and facts.serialise_cpu_s is not None:
        computes = facts.serialise_cpu_s > (facts.fetch_cpu_s or 0.0) + (facts.collate_cpu_s or 0.0)
    if computes and figures.is_sure(found.removable_s.get("contention")):
        parts.append("contention")
    return parts


def _without_handing_over(evidence: Evidence, found: Attribution) -> Attribution:
    """Where workers compute while they hand over: what handing over takes beside workers at rest stays."""
    transfer = found.removable_s.get("transfer")
    if transfer is None or not _is_held_up(evidence, found):
        return found
    hand_s = per_step_s(evidence, found, found.seconds["transfer"])
    late = interpreter.held_up_s(evidence, found) / hand_s
    low, high = (None if end is None else end * late for end in (transfer.low, transfer.high))
    less = Interval(transfer.value * late, low, high)
    return replace(found, removable_s={**found.removable_s, "transfer": less})


def _is_held_up(evidence: Evidence, found: Attribution) -> bool:
    """Whether getting batches is mostly handing them over, and that waits for workers that compute."""
    handed = _handing_over(evidence, found) is not None
    return handed and interpreter.held_up_s(evidence, found) > 0


def _wait_s(found: Attribution) -> float:
    return found.seconds["waiting"] + found.seconds["transfer"]


def _stage(evidence: Evidence, found: Attribution) -> str | None:
    """Where a batch is late: handed over, or being read, decoded or collated; None where it was not seen.

    Of fetching, what the fetching thread did not compute it was blocked: by storage, or, where all cores
    are taken, by waiting for one.
    """
    if _is_held_up(evidence, found):
        return interpreter.computing_stage(evidence)
    if _handing_over(evidence, found) is not None:
        return "transfer"
    facts = evidence.loader
    if facts is None or facts.fetch_s is None:
        return None
    computed_s = facts.fetch_s if facts.fetch_cpu_s is None else facts.fetch_cpu_s
    blocked_s = 0.0 if witnesses.cores_full(evidence) else facts.fetch_s - computed_s
    collate_s = facts.collate_s or 0.0
    if witnesses.cores_full(evidence) and facts.collate_cpu_s is not None:
        # both queue for cores: what they compute tells which is the larger
        collate_s = facts.collate_cpu_s
    if _pinning_s(evidence, found) > facts.fetch_s + collate_s:
        return "transfer"
    stages = {"storage": blocked_s, "decode": computed_s, "collate": collate_s}
    return max(stages, key=lambda name: stages[name])


def _pinning_s(evidence: Evidence, found: Attribution) -> float:
    """Seconds of a step in which a training process without workers pins its batch; drawing it is in them."""
    facts, config = evidence.loader, evidence.config
    pins = config.pin_memory and not evidence.on_cpu and config.num_workers == 0
    if not pins or facts is None or facts.made_s is None:
        return 0.0
    return max(0.0, per_step_s(evidence, found, _wait_s(found)) - facts.made_s)


def _flags(evidence: Evidence, found: Attribution, stage: str | None) -> tuple[str, ...]:
    """`too_few_workers`: those there are have no rest, and more could do more; `stalls`: few long waits.

    `busy_interpreter`: batches were ready, and workers that compute hand them over late.
    """
    flags = []
    if _is_held_up(evidence, found):
        flags.append("busy_interpreter")
    elif stage not in (None, "transfer") and _has_no_rest(evidence, found):
        free = witnesses.free_cores(evidence)
        if stage == "storage" or (free is not None and evidence.config.num_workers < free):
            flags.append("too_few_workers")
    if witnesses.stalls(evidence) is not None:
        flags.append("stalls")
    return tuple(flags)


def _has_no_rest(evidence: Evidence, found: Attribution) -> bool:
    """Whether the workers are busy all the time; where that was not seen, by what a batch takes them."""
    facts, workers = evidence.loader, evidence.config.num_workers
    if facts is None or facts.made_s is None:
        return False
    if workers == 0:
        sample_s = _sample_s(evidence)
        return sample_s is not None and sample_s >= IN_MEMORY_S
    if facts.busy_share is not None:
        return facts.busy_share >= BUSY
    step_s = found.replay_step_s.value if found.replay_step_s is not None else None
    return step_s is not None and facts.made_s > workers * step_s


def _witnesses(
    evidence: Evidence, found: Attribution, stage: str | None, parts: list[str]
) -> list[str]:
    wait_s = per_step_s(evidence, found, found.seconds["waiting"])
    hand_s = per_step_s(evidence, found, found.seconds["transfer"])
    steps, workers = found.not_ready_share, evidence.config.num_workers
    told = []
    if evidence.waited:
        told += figures.handed_over(evidence, wait_s)
    elif workers == 0:
        told.append(
            f"The training process makes its batches itself, {units.seconds(wait_s)} for each step."
        )
    elif _handing_over(evidence, found) is not None:
        ready = "" if steps is None else f" at {units.share(1 - steps)} of the steps"
        late = ""
        if _is_held_up(evidence, found):
            doing = "collating" if stage == "collate" else "decoding"
            late = (
                f", {units.seconds(interpreter.held_up_s(evidence, found))} of it waiting for the worker's"
                f" interpreter, which is busy {doing}"
            )
        told.append(
            f"The next batch was ready{ready}, and taking it over took {units.seconds(hand_s)} of a mean"
            f" step{late}."
        )
    elif steps is None:
        told.append(f"The training waited {units.seconds(wait_s)} of a mean step for its batch.")
    else:
        told.append(
            f"The next batch was not ready at {units.share(steps)} of the steps, and the training waited"
            f" {units.seconds(wait_s)} of a mean step for it."
        )
    stalls = witnesses.stalls(evidence)
    if stalls is not None:
        told.append(
            f"A tenth of the steps has {units.share(stalls.share)} of all waiting: single stalls of up to"
            f" {units.seconds(stalls.longest_s)}, about every {stalls.every} steps, not a loader that is slow"
            " throughout."
        )
    facts = evidence.loader
    if facts is not None and facts.fetch_s is not None:
        who = "A worker" if workers else "It"
        cpu = facts.fetch_cpu_s
        computed = "" if cpu is None else f", {units.seconds(cpu)} of it computing"
        collated = (
            f", and collates it in {units.seconds(facts.collate_s)}" if facts.collate_s else ""
        )
        told.append(f"{who} reads a batch in {units.seconds(facts.fetch_s)}{computed}{collated}.")
        if evidence.making:
            told.append(figures.made_in(evidence.making))
        if stage == "transfer" and not workers:
            told.append(f"It draws and pins it in {units.seconds(_pinning_s(evidence, found))}.")
        if workers and facts.busy_share is not None:
            told.append(f"The workers are busy for {units.share(facts.busy_share)} of their time.")
    if "contention" in parts:
        also_s = per_step_s(evidence, found, found.seconds["contention"])
        told.append(
            f"The same work takes cores from the training for {units.seconds(also_s)} of a step more, which"
            " go with it."
        )
    return told


def _handing_over(evidence: Evidence, found: Attribution) -> float | None:
    """Part of getting batches that is handing them over, where it is most of it.

    Without workers nothing is handed over.
    """
    whole_s = _wait_s(found)
    share = found.seconds["transfer"] / whole_s if whole_s > 0 else 0.0
    return share if share > MOSTLY and evidence.config.num_workers > 0 else None


def _advice(evidence: Evidence, found: Attribution, stage: str | None) -> str:
    if evidence.waited:
        return "Make faster what makes the batches, or have several processes do it: a DataLoader's workers."
    if _is_held_up(evidence, found):
        return (
            "Batches were ready, and workers hand them over late because they compute in Python meanwhile."
            " Make a sample cheaper: decode beforehand, keep decoded samples, work on whole arrays."
        )
    if _handing_over(evidence, found) is not None:
        facts = evidence.loader
        if facts is not None and facts.is_packed:
            return (
                "More workers will not help: batches were ready, and taking one over costs as much for each"
                " as for its bytes. Hand over fewer bytes (images as uint8, converted in the training"
                " loop) or fewer, larger batches; a dataset that is cheap to read needs no worker."
            )
        return (
            "More workers will not help: batches were ready, and taking them over from a worker costs"
            " something for every tensor. Hand over fewer, larger ones: pack a batch's small tensors into"
            " one each in collate."
        )
    if stage == "transfer" and evidence.config.num_workers == 0:
        return (
            "The training process pins every batch itself. Beside a worker a thread of the loader does that:"
            " add a row with --variant num_workers=1, or one without: --no-pin-memory"
        )
    sample_s = _sample_s(evidence)
    if sample_s is not None and sample_s < IN_MEMORY_S:
        return (
            f"Samples come from memory, {units.seconds(sample_s)} each, and a worker would add handing"
            " them over. Fetch a whole batch at once, if yours does not yet: a dataset with"
            " __getitems__(indices) that indexes its tensors once, and a collate that passes the batch on."
        )
    workers, cores = evidence.config.num_workers, evidence.cores
    more = max(1, 2 * workers) if cores is None else min(max(1, 2 * workers), cores)
    if more > workers:
        share = " (they share the cores with the training)" if evidence.on_cpu else ""
        memory = (
            "; where all data is in memory, fetch whole batches instead (__getitems__)"
            if sample_s is None and workers == 0
            else ""
        )
        return f"Add a row with more loader workers{share}: --variant num_workers={more}{memory}"
    has = f"{workers} loader worker{'' if workers == 1 else 's'}"
    return (
        f"{has} and {cores} core{'' if cores == 1 else 's'}: more workers would queue for them."
        " Make a sample cheaper: smaller stored images, less augmentation, decoding done beforehand."
    )


def _sample_s(evidence: Evidence) -> float | None:
    """Seconds of fetching and collating one sample; None where they were not seen."""
    made_s = None if evidence.loader is None else evidence.loader.made_s
    return None if made_s is None else made_s / evidence.config.batch_size
