"""Overhead: a bare loop against the same loop under perfkit's recorder, for steps of 1, 5 and 50 ms.

In one process, in turns: bare, recorded, recorded, bare. Each such palindrome gives one ratio and one
difference per step; the intervals are Student's t over palindromes. Two kinds of step on a CPU:
`paced` does small layers for half of its length and then spins to its end, so that the only noise is
the loop's; `work` does small layers all the way, so that caches which the recorder takes from the step
count too. On CUDA, with events: `launch-bound` (small layers) and `device-bound` (large products).
Besides, `script` is a small training with the recorder of `perfkit run` in it, in a process of its own,
which also tells its own calls by direct timing, and what its start-up takes longer. `--only` runs one of
these cases, in less than a minute.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import replace

import _attached
import _cold
import torch
from _common import (
    Answer,
    Row,
    Target,
    Watch,
    base,
    make_data,
    parse,
    parser,
    publish,
    ratio,
    run,
)
from _loops import (
    Step,
    Stretch,
    against,
    bare_loop,
    large_products,
    lightning_loop,
    open_recorder,
    paced,
    profiled_loop,
    recorded,
    small_layers,
    working,
)

from perfkit.config import RunConfig
from perfkit.stats import Interval
from perfkit.training import arms
from perfkit.training.loading import BatchOrder, make_loader
from perfkit.training.loop import Loop
from perfkit.training.setup import Training

LENGTHS_S = (1e-3, 5e-3, 50e-3)
JUDGED_S = 5e-3
MOST_SHARE = 0.005
MOST_PER_STEP_S = 20e-6
STRETCH_S = 0.1
"""Short, so that the machine is the same in all four of a palindrome."""
LEAST_STEPS = 4
Tools = dict[str, contextlib.AbstractContextManager[Stretch]]
ATTACHED_S = 2e-3
"""Step of the script that is watched."""
MOST_START_UP_S = 0.5
START_UPS = 8
CALLS = 6
"""Of the recorder in a step."""
SECONDS = 16.0
"""Spent on each row of the full form."""
KINDS = {
    "cpu": {"paced": (paced, small_layers), "work": (working, small_layers)},
    "cuda": {"launch-bound": (working, small_layers), "device-bound": (working, large_products)},
}
CASES = (*KINDS["cpu"], *KINDS["cuda"], "training", "script", "start-up")


def measure(
    device: torch.device,
    lengths_s: Sequence[float],
    *,
    seconds: float,
    watch: Watch,
    only: str | None = None,
) -> tuple[list[Row], list[str]]:
    """Return a row per kind and length of step and per tool, `seconds` spent on each; and remarks.

    Args:
        only: the one kind that is measured, with perfkit alone.
    """
    rows: list[Row] = []
    remarks: list[str] = []
    for number, (kind, (make, unit)) in enumerate(KINDS[device.type].items()):
        for length_s in lengths_s if only in (None, kind) else ():
            step, units = make(unit(device), length_s, device)
            steps = max(LEAST_STEPS, round(STRETCH_S / length_s))
            palindromes = max(3, round(seconds / (4 * steps * length_s)))
            loops: Tools = {"perfkit": recorded(step, device)}
            if number == 0 and length_s == JUDGED_S and only is None:
                others, remarks = _other_tools(step)
                loops |= others
            for tool, opened in loops.items():
                with opened as loop:
                    found = against(
                        bare_loop(step),
                        loop,
                        steps=steps,
                        palindromes=palindromes,
                        device=device,
                        watch=watch,
                    )
                rows.append(
                    {"tool": tool, "kind": kind, "length_s": length_s, "units": units, **found}
                )
    return rows, remarks


def _other_tools(step: Step) -> tuple[Tools, list[str]]:
    tools: Tools = {"torch.profiler": contextlib.nullcontext(profiled_loop(step))}
    lightning, why = lightning_loop(step)
    if lightning is not None:
        tools["SimpleProfiler"] = contextlib.nullcontext(lightning)
    return tools, [why] if why else []


def own_cost(config: RunConfig, *, seconds: float) -> Row:
    """Train with two loader workers and return what the recorder says of itself, seconds a step.

    To its own count, which leaves out entering and leaving its calls, those are added as measured on
    calls that do nothing.
    """
    config = replace(config, num_workers=2, num_samples=max(512, 8 * config.batch_size))
    make_data(config)
    training = Training(config)
    real = arms.Real(make_loader(config, training.workload, BatchOrder(config)))
    with open_recorder(training.device) as (recorder, path):
        loop = Loop(training, recorder, path)
        first_ns, end_ns = loop.run(real, 20)
        # one stretch: what is left at its end is written outside the steps, and not counted
        steps = max(20, math.ceil(seconds / ((end_ns - first_ns) * 1e-9 / 20)))
        before_ns = recorder.own_ns
        start_ns, end_ns = loop.run(real, steps)
        own_s = (recorder.own_ns - before_ns) * 1e-9 / steps
        step_s = (end_ns - start_ns) * 1e-9 / steps
        real.close()
    return {"own_s": own_s + CALLS * _empty_call_s(), "step_s": step_s, "steps": steps}


def _empty_call_s() -> float:
    class Empty:
        def call(self) -> None: ...

    empty, count = Empty(), 20_000
    begin = time.perf_counter()
    for _ in range(count):
        empty.call()
    called = time.perf_counter()
    for _ in range(count):
        pass
    return (2 * called - begin - time.perf_counter()) / count


def _targets(rows: list[Row], own: Row | None, start_up: Interval | None) -> list[Target]:
    """Return what was to be shown by the cases that were run."""
    targets: list[Target] = []
    mine = [row for row in rows if row["tool"] == "perfkit" and row["length_s"] == JUDGED_S]
    for judged in mine[:1]:
        share: Interval = judged["ratio"]
        added: Interval = judged["added_s"]
        targets += [
            Target(
                name=f"share of a 5 ms step ({judged['kind']})",
                wanted=f"the interval ends below {1 + MOST_SHARE}",
                measured=ratio(share),
                met=None if share.high is None else share.high <= 1 + MOST_SHARE,
            ),
            Target(
                name=f"added to a 5 ms step ({judged['kind']})",
                wanted=f"the interval ends below {1e6 * MOST_PER_STEP_S:.0f} µs",
                measured=_micros(added),
                met=None if added.high is None else added.high <= MOST_PER_STEP_S,
            ),
        ]
    if own is not None:
        targets.append(
            _own_calls("the recorder's own calls, training with two loader workers", own)
        )
    for script in (row for row in rows if row["tool"] == "perfkit run"):
        targets.append(_own_calls("a watched script's own calls of the recorder", script))
    if start_up is not None:
        targets.append(
            Target(
                name="start-up of a watched script, until its first step is over",
                wanted=f"at most {MOST_START_UP_S} s",
                measured=f"{start_up.value:.2f} ± {start_up.half_width or 0:.2f} s",
                met=start_up.value <= MOST_START_UP_S,
            )
        )
    return targets


def _own_calls(name: str, row: Row) -> Target:
    hot = f"; {1e6 * row['hot_s']:.1f} µs in a step without work" if "hot_s" in row else ""
    return Target(
        name=name,
        wanted=f"at most {1e6 * MOST_PER_STEP_S:.0f} µs a step",
        measured=f"{1e6 * row['own_s']:.1f} µs of a step of {1e3 * row['step_s']:.1f} ms{hot}",
        met=row["own_s"] <= MOST_PER_STEP_S,
    )


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    made = parser("overhead", __doc__, full_form="under three minutes")
    made.add_argument("--device", default="cpu", help="cpu or cuda")
    made.add_argument("--only", choices=CASES, help="run this case alone")
    options = parse(made, argv)
    only, small = options.only, options.small
    config, environment = base(options.device, "baseline")
    device = torch.device(config.device)
    torch.set_num_threads(1)
    watch = Watch()
    rows, remarks = measure(
        device,
        LENGTHS_S[:2] if small else LENGTHS_S,
        seconds=0.4 if small else SECONDS,
        watch=watch,
        only=only,
    )
    watch.start()
    own = start_up = None
    if only in (None, "training"):
        in_memory = small or device.type == "cuda"
        own = {**config.workload, "data": "memory" if in_memory else "jpeg"}
        config = replace(config, workload=own)
        own = own_cost(config, seconds=0.5 if small else 8.0)
        watch.mark()
    if only in (None, "script"):
        rows.append(_attached.row(ATTACHED_S, 0.5 if small else SECONDS))
    if only in (None, "start-up"):
        start_up = _attached.start_up(1 if small else START_UPS)
    work, _ = working(small_layers(torch.device("cpu")), JUDGED_S, torch.device("cpu"))
    cold = _cold.calls(work)
    watch.mark()
    answer = Answer(
        name="overhead",
        title="What perfkit's recorder costs",
        rows=rows,
        columns=(
            ("Tool", lambda r: r["tool"]),
            ("Step", lambda r: r["kind"]),
            ("Bare step (ms)", lambda r: f"{1e3 * r['step_s']:.3f}"),
            ("With ÷ bare [95 %]", lambda r: ratio(r["ratio"])),
            ("Added a step", lambda r: _micros(r["added_s"])),
            ("Steps", lambda r: str(r["steps"])),
        ),
        further=_cold.told(cold, JUDGED_S),
        targets=_targets(rows, own, start_up),
        remarks=(
            "a step has units of one product, one addition and one ReLU: "
            + ", ".join(f"{r['units']} ({r['kind']}, {1e3 * r['length_s']:.0f} ms)" for r in rows),
            "the recorder's calls come after other work and are cold: none is faster than those above",
            "torch.profiler records the CPU's operators"
            + (" and the device's kernels" if device.type == "cuda" else "")
            + f"; it is started and stopped every {round(STRETCH_S / JUDGED_S)} steps, which counts",
            *remarks,
        ),
        warnings=watch.warnings(),
        details={"own": own, "start_up_s": start_up, "cold_calls": cold},
    )
    publish(answer, options, argv, environment)


def _micros(added: Interval) -> str:
    half = added.half_width
    return f"{1e6 * added.value:.1f}" + ("" if half is None else f" ± {1e6 * half:.1f}") + " µs"


if __name__ == "__main__":
    run(main)
