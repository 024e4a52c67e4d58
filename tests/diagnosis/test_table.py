"""Every plant × workers × machine, and what is said of it: the committed table is what is said now.

`python tests/diagnosis/test_table.py` (with `tests` on the path) writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from evidences import Plant, planted

from perfkit.diagnosis.evidence import Dispatch
from perfkit.diagnosis.judge import judge

TABLE = Path(__file__).parent / "table.md"
WORKERS = (0, 1, 2, 8)
MACHINES = {
    "2 cores": {"cores": 2},
    "16 cores": {"cores": 16},
    "GPU, 16 cores": {"cores": 16, "cuda": True},
}
PLANTS = {
    "heavy model": Plant(compute_s=0.3),
    "slow storage": Plant(storage_s=0.4),
    "slow decoding": Plant(decode_s=0.12),
    "heavy collate": Plant(collate_s=0.12),
    "many small tensors": Plant(hand_s=0.066),
    "slow storage, fully prefetched": Plant(compute_s=0.6, storage_s=0.5),
    "a stall every ten batches": Plant(stall_s=0.6),
    "decoding beside the trainer": Plant(decode_s=0.055),
    "threads that spin": Plant(spinning_s=0.02),
    "slow metrics": Plant(parts_s={"metrics": 3.0}),
    "slow evaluation": Plant(parts_s={"evaluation": 3.0}),
    "a usual evaluation": Plant(compute_s=0.1, parts_s={"evaluation": 0.5}),
    "workers started every epoch": Plant(
        parts_s={"epoch_start": 2.0},
        startup_s={"worker_start": 1.6, "first_batch": 0.4, "first_step": 0.05},
        settings={"persistent_workers": False},
    ),
    "a slow first batch every epoch": Plant(parts_s={"epoch_start": 2.0}),
    "compiling in a short run": Plant(startup_s={"first_step_cold": 40.0}, settings={"epochs": 20}),
    "work in no phase, a fifth": Plant(compute_s=0.1, gap_s=0.02),
    "work in no phase, a third": Plant(compute_s=0.1, gap_s=0.05),
    "pageable copies": Plant(h2d_s=0.01, calls={"train.py:12": 1.0}),
    "a synchronising call": Plant(idle_s=0.012, calls={"train.py:88": 1.0}),
    "a thousand tiny operators": Plant(
        idle_s=0.02, dispatch=Dispatch(fixed_share=0.97, operators_share=0.8)
    ),
    "40 LayerNorms": Plant(dispatch=Dispatch(fixed_share=0.85, operators_share=1.3)),
    "hot": Plant(telemetry={"thermal_slowdown_share": 0.4}),
    "hot, the clock known": Plant(
        telemetry={
            "thermal_slowdown_share": 0.4,
            "sm_clock_hz": 1.2e9,
            "sm_clock_max_hz": 2.0e9,
        }
    ),
    "communication": Plant(communication_s=0.01, settings={"parallel": "ddp"}),
    "loader as fast as computing": Plant(storage_s=0.025),
    "wait, metrics and start": Plant(storage_s=0.034, parts_s={"metrics": 0.7, "epoch_start": 0.7}),
    "threads that spin, three palindromes": Plant(spinning_s=0.02, palindromes=3),
    "threads that spin, three palindromes and no run delay": Plant(
        spinning_s=0.02, palindromes=3, kernel=False
    ),
    "a foreign load": Plant(storage_s=0.4, disturbed=True),
}


def said(plant: Plant, workers: int, machine: dict[str, int]) -> str:
    """Kind, stage, flags and severity of the primary verdict, and how many others there are."""
    found = judge(planted(plant, workers, **machine))
    first = next((v for v in found.verdicts if v.kind == found.primary), None)
    if first is None:
        return found.primary
    stage = f"/{first.stage}" if first.stage else ""
    flags = "".join(f" +{flag}" for flag in first.flags)
    needed = "" if found.workers_needed is None else f", needs {found.workers_needed}"
    return f"{found.primary}{stage}{flags} {first.share.value:.0%}{needed}"


def table() -> str:
    """Return the table as Markdown."""
    head = ["plant", "machine", *(f"{n} worker{'' if n == 1 else 's'}" for n in WORKERS)]
    lines = [
        "# What is said of every plant",
        "",
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
    ]
    for name, plant in PLANTS.items():
        for machine, given in MACHINES.items():
            cells = [said(plant, workers, given) for workers in WORKERS]
            lines.append(f"| {' | '.join([name, machine, *cells])} |")
    return "\n".join(lines) + "\n"


def test_the_table_is_what_is_said() -> None:
    """A change of any cell is a change of the committed file."""
    assert table() == TABLE.read_text(encoding="utf-8")


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
