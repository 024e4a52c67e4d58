"""Ready flag and run delay on planted trainings: do they tell what was planted?

Each training runs in one process, its arms in palindromes of blocks of equal time: `real`, `replay` beside
idle workers, and `replay_running` beside workers that go on. What the loader costs the trainer is
`real − replay`. `contending` has a loader that is never late: what it costs is waiting for a core, and the
kernel's run delay should say the same. `many_tensors` spends its wait on batches that are there: `transfer`.
`sleeping` spends it on batches that are not: `waiting`. `alone` has no workers, and no run delay.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from _common import Answer, Row, Target, Watch, base, parse, parser, publish, run

from perfkit import units
from perfkit.config import RunConfig
from perfkit.engine.executor import Executor
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import BlockResult, GenerationResult
from perfkit.errors import PerfkitError
from perfkit.runfolder import StudyFolder
from perfkit.stats import Interval, mean_interval

FILE = Path(__file__).parent / "plugins" / "workloads" / "witnesses.py"
ARMS = ("real", "replay", "replay_running")
JOBS = {
    "alone": {"num_workers": 0},
    "contending": {"num_workers": 2, "batch_size": 64},
    "many_tensors": {"num_workers": 2},
    "sleeping": {"num_workers": 2},
}
SMALL = ("alone", "many_tensors")
PALINDROMES = 6
BLOCK_S = 0.45
TIMEOUT_S = 120.0
WITNESS_WITHIN = 0.25
QUIET_SHARE = 0.02
TOLD_SHARE = 0.95


def measure(name: str, config: RunConfig, *, small: bool) -> list[BlockResult]:
    """Run one training and return its blocks.

    Raises:
        PerfkitError: it failed.
    """
    own: dict[str, Any] = {
        "arch": f"{FILE}:{name}",
        "num_samples": 4096,
        "num_threads": 1,
        "workload": {},
    }
    config = replace(config, **own, **JOBS[name])
    row = RowPlan(key=name, arch=name, variant="fp32", config=config)
    plan = GenerationPlan(
        number=1,
        group=0,
        rows=(row,),
        palindromes=1 if small else PALINDROMES,
        arms=ARMS if config.num_workers else ("real", "replay"),
        warm_up_s=0.2 if small else 2.0,
        block_s=0.05 if small else BLOCK_S,
        edges=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        study = StudyFolder.create("benchmark", root=Path(folder))
        with Executor(study, timeout_s=TIMEOUT_S, emit=lambda event: None) as executor:
            result: GenerationResult = executor.run(plan)
    (process,) = result.processes
    if process.status != "ok":
        raise PerfkitError(f"{name} failed: {process.status}: {process.message}")
    return list(process.blocks)


def told(name: str, blocks: list[BlockResult]) -> Row:
    """Return what the blocks of one training say, in seconds a step."""
    numbers = sorted({block.palindrome for block in blocks})

    def per_palindrome(arm: str, value: Any) -> list[float]:
        of = [[b for b in blocks if b.arm == arm and b.palindrome == n] for n in numbers]
        return [fmean(value(b) for b in each) for each in of if each]

    real = per_palindrome("real", lambda b: b.step_s)
    idle = per_palindrome("replay", lambda b: b.step_s)
    running = per_palindrome("replay_running", lambda b: b.step_s)
    phases = {
        phase: fmean(b.phases_s.get(phase, 0.0) for b in blocks if b.arm == "real")
        for phase in ("waiting", "transfer")
    }
    delays = [b.run_delay_s for b in blocks if b.arm == "real" and b.run_delay_s is not None]
    cpu = {
        arm: [
            (b.workers_cpu_s or 0.0) / ((b.end_ns - b.start_ns) * 1e-9)
            for b in blocks
            if b.arm == arm
        ]
        for arm in ("real", "replay_running")
    }
    return {
        "job": name,
        "step_s": fmean(real),
        "input_s": mean_interval([a - b for a, b in zip(real, idle, strict=True)]),
        "contention_s": mean_interval([a - b for a, b in zip(running, idle, strict=True)])
        if running
        else None,
        "run_delay_s": mean_interval(delays) if delays else None,
        **phases,
        "not_ready_share": fmean(b.not_ready_share or 0.0 for b in blocks if b.arm == "real"),
        "workers_cores": {arm: fmean(values) for arm, values in cpu.items() if values},
        "disturbed": sum(b.disturbed for b in blocks),
        "blocks": len(blocks),
    }


def targets(rows: dict[str, Row]) -> tuple[Target, ...]:
    """Return what issue and design ask of the two witnesses."""
    found = []
    contending, alone = rows.get("contending"), rows["alone"]
    for of, name in (
        ("contention_s", "run delay ÷ (running − idle): two witnesses of contention"),
        # of which waiting and handing over are a part that no run delay sees
        ("input_s", "run delay ÷ (real − replay beside idle workers), contending"),
    ):
        if contending is None or contending["run_delay_s"] is None or contending[of] is None:
            continue
        ratio = contending["run_delay_s"].value / contending[of].value
        found.append(
            Target(
                name=name,
                wanted="0.75 to 1.25",
                measured=f"{ratio:.2f}",
                met=abs(ratio - 1) <= WITNESS_WITHIN,
            )
        )
    if alone["run_delay_s"] is not None:
        share = alone["run_delay_s"].value / alone["step_s"]
        found.append(
            Target(
                name="run delay alone on the machine, of a step",
                wanted="under 2 %",
                measured=units.share(share),
                met=share < QUIET_SHARE,
            )
        )
    for job, phase in (("many_tensors", "transfer"), ("sleeping", "waiting")):
        row = rows.get(job)
        if row is None:
            continue
        share = row[phase] / (row["waiting"] + row["transfer"])
        found.append(
            Target(
                name=f"{phase} of all the wait, {job}",
                wanted="at least 95 %",
                measured=units.share(share),
                met=share >= TOLD_SHARE,
            )
        )
    return tuple(found)


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    options = parse(parser("witnesses", __doc__, full_form="some ninety seconds"), argv)
    config, environment = base("cpu", "baseline")
    watch = Watch()
    rows = {
        name: told(name, measure(name, config, small=options.small))
        for name in JOBS
        if not options.small or name in SMALL
    }
    watch.mark()
    answer = Answer(
        name="witnesses",
        title="Two witnesses of what a loader costs",
        rows=list(rows.values()),
        columns=(
            ("Training", lambda r: r["job"]),
            ("Step, ms", lambda r: f"{1e3 * r['step_s']:.2f}"),
            ("real − idle, ms", lambda r: _ms(r["input_s"])),
            ("running − idle, ms", lambda r: _ms(r["contention_s"])),
            ("Run delay, ms", lambda r: _ms(r["run_delay_s"])),
            ("Waiting, ms", lambda r: f"{1e3 * r['waiting']:.2f}"),
            ("Transfer, ms", lambda r: f"{1e3 * r['transfer']:.2f}"),
            ("Not ready", lambda r: units.share(r["not_ready_share"])),
            ("Workers' cores, real / running", _cores),
        ),
        targets=targets(rows),
        remarks=(
            f"{PALINDROMES} palindromes of arms in blocks of {units.seconds(BLOCK_S)}; intervals: 95 %,"
            " Student's t over palindromes (run delay: over blocks); one torch thread",
        ),
        warnings=watch.warnings(),
    )
    publish(answer, options, argv, environment)


def _ms(interval: Interval | None) -> str:
    if interval is None:
        return units.MISSING
    half = interval.half_width
    return f"{1e3 * interval.value:.2f}" + ("" if half is None else f" ± {1e3 * half:.2f}")


def _cores(row: Row) -> str:
    cores = row["workers_cores"]
    return " / ".join(f"{cores[arm]:.2f}" for arm in ("real", "replay_running") if arm in cores)


if __name__ == "__main__":
    run(main)
