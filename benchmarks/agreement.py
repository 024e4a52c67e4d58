"""Agreement: one training step timed by perfkit, by torch.utils.benchmark.Timer and by a bare loop.

In one process, in turns, on the same batches: each round has one stretch of steps per clock, in an
order that changes from round to round, and gives one ratio per pair of clocks; the interval is
Student's t over rounds. A stretch is timed as perfkit times a block (recorder on, device idle at
both ends), but is never run again for being unsteady: that would favour it. Beside it stand the phases of one
loop, as a plain script under `perfkit run` and marked by bench's recorder (`_attached_agreement.py`).
"""

from __future__ import annotations

import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import _attached_agreement
import torch
from _common import Answer, Row, Target, Watch, base, parse, parser, publish, ratio, rotated, run
from torch.utils.benchmark import Timer

from perfkit.config import RunConfig
from perfkit.records import STEPS, UNKNOWN
from perfkit.stats import Interval, median, ratio_interval
from perfkit.training.loading import BatchOrder, make_loader
from perfkit.training.loop import Loop
from perfkit.training.probe.clocks import CudaDevice
from perfkit.training.probe.device import synchronize
from perfkit.training.probe.recorder import Recorder
from perfkit.training.setup import Training

WITHIN = 0.03
STRETCH_S = 0.15
ROUNDS = 160
PALINDROMES = 100
"""Of the loop under `perfkit run`."""
BATCHES = 4
CLOCKS = ("perfkit", "timer", "bare")
PAIRS = (("perfkit", "timer"), ("perfkit", "bare"), ("timer", "bare"))


class Batches:
    """A few batches in rotation, made before: a step waits for nothing but itself."""

    def __init__(self, training: Training) -> None:
        order = BatchOrder(training.config)
        loader = make_loader(training.config, training.workload, order)
        self._batches = itertools.cycle(list(itertools.islice(loader, BATCHES)))

    def next(self) -> Any:
        return next(self._batches)

    def ready(self) -> int:
        return UNKNOWN

    def depth(self) -> int:
        return -1


def clocks(loop: Loop, steps_file: Path, steps: int) -> dict[str, Callable[[], float]]:
    """Return, by the name of each clock, what times a stretch and gives its mean seconds a step."""
    source = Batches(loop.training)

    def step() -> None:
        loop.train_on(loop.training.to_device(source.next()))

    def once() -> float:
        step()
        return math.nan

    def perfkit() -> float:
        start_ns, end_ns = loop.run(source, steps)
        return (end_ns - start_ns) * 1e-9 / steps

    def bare() -> float:
        synchronize(loop.training.device)
        begin = time.perf_counter()
        for _ in range(steps):
            step()
        synchronize(loop.training.device)
        return (time.perf_counter() - begin) / steps

    # torch's Timer sets one thread unless it is told
    timer = Timer("step()", globals={"step": step}, num_threads=torch.get_num_threads())
    for _ in range(3):
        step()
    return {
        "once": once,
        "perfkit": perfkit,
        "bare": bare,
        "timer": lambda: float(timer.timeit(steps).mean),
    }


def measure(config: RunConfig, *, rounds: int, stretch_s: float, watch: Watch) -> dict[str, Any]:
    """Time rounds of stretches; returns seconds a step by clock, and the steps of a stretch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.bin"
        training = Training(config)
        on_cuda = training.device.type == "cuda"
        device = CudaDevice(training.device) if on_cuda else None
        recorder = Recorder(path, device=device)
        loop = Loop(training, recorder, path)
        loop.warm_up(Batches(training), 1.0, 10)
        step_s = clocks(loop, path, 10)["bare"]()
        steps = max(5, math.ceil(stretch_s / step_s))
        timed = clocks(loop, path, steps)
        times: dict[str, list[float]] = {name: [] for name in (*CLOCKS, "records")}
        watch.start()
        for number in range(rounds):
            for name in rotated(CLOCKS, number):
                # one step that no clock sees: what ran between stretches is out of the caches again
                timed["once"]()
                first = recorder.steps
                times[name].append(timed[name]())
                if name == "perfkit":
                    times["records"].append(_of_records(path, first, steps))
            watch.mark()
        loop.check_loss()
        recorder.close()
    return {"times_s": times, "steps": steps}


def _of_records(path: Path, first: int, steps: int) -> float:
    """Mean step of the recorder's own records: the device's clock where there is one."""
    records = list(STEPS.read(path, first=first, count=steps))
    device = [r.device_step_s for r in records if not math.isnan(r.device_step_s)]
    return statistics.fmean(device or [r.step_s for r in records])


def compare(times: dict[str, list[float]]) -> list[Row]:
    """Return a row per pair of clocks: the ratio of their step times with its interval."""
    rows = []
    for first, second in (*PAIRS, ("records", "bare")):
        pairs = zip(times[first], times[second], strict=True)
        interval = ratio_interval([math.log(a / b) for a, b in pairs])
        rows.append(
            {
                "first": first,
                "second": second,
                "first_step_s": median(times[first]),
                "second_step_s": median(times[second]),
                "ratio": interval,
                "rounds": len(times[first]),
            }
        )
    return rows


def agrees(ratio_of: Interval) -> bool | None:
    """Whether an interval contains 1 and lies within ±3 %; None without bounds."""
    if ratio_of.low is None or ratio_of.high is None:
        return None
    inside = ratio_of.low >= 1 - WITHIN and ratio_of.high <= 1 + WITHIN
    return inside and ratio_of.low <= 1 <= ratio_of.high


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    made = parser("agreement", __doc__, full_form="some two minutes")
    made.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parse(made, argv)
    config, environment = base(options.device, "baseline")
    # the data is in memory and not loaded: what is held against each other is clocks
    config = replace(
        config,
        num_workers=0,
        num_samples=max(64, 4 * config.batch_size),
        workload={**config.workload, "data": "memory"},
    )
    watch = Watch()
    found = measure(
        config,
        rounds=3 if options.small else ROUNDS,
        stretch_s=0.1 if options.small else STRETCH_S,
        watch=watch,
    )
    rows = compare(found["times_s"])
    watch.start()
    attached = _attached_agreement.rows(2 if options.small else PALINDROMES)
    watch.mark()
    targets = [
        Target(
            name=f"{row['first']} ÷ {row['second']}" + f", {row.get('phase', '')}".rstrip(", "),
            wanted="the interval contains 1 and lies within ±3 %",
            measured=ratio(row["ratio"]),
            met=agrees(row["ratio"]),
        )
        for row in (*rows[:2], *attached)
    ]
    answer = Answer(
        name="agreement",
        title="One step on three clocks: perfkit, torch's Timer, a bare loop",
        rows=[*rows, *attached],
        columns=(
            ("Clocks", lambda r: f"{r['first']} ÷ {r['second']}"),
            ("Of", lambda r: r.get("phase", "step").replace("_", " ")),
            ("First (ms a step)", lambda r: f"{1e3 * r['first_step_s']:.3f}"),
            ("Second (ms a step)", lambda r: f"{1e3 * r['second_step_s']:.3f}"),
            ("Ratio [95 %]", lambda r: ratio(r["ratio"])),
            ("Rounds", lambda r: str(r["rounds"])),
        ),
        targets=targets,
        remarks=(
            f"a step is {config.arch}, batch {config.batch_size}, {config.count_of('image_size')} pixels, on"
            f" {config.device}; {found['steps']} steps a stretch; step times are medians over rounds",
            "`records` is the mean of the recorder's own step records of the same stretches"
            + (" on the device's clock (CUDA events)" if "cuda" in config.device else ""),
            "`perfkit run` is a loop of its own, a small MLP on the CPU: phases as the hooks in a plain"
            " script tell them, against bench's recorder in the same loop, in palindromes",
        ),
        warnings=watch.warnings(),
        details={"times_s": found["times_s"], "steps": found["steps"]},
    )
    publish(answer, options, argv, environment)


if __name__ == "__main__":
    run(main)
