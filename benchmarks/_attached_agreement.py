"""One loop under bench's recorder and as a plain script under `perfkit run`: do their phases agree?

As a program it is the script: a process that trains a small model, started with the recorder in it. In turns
it runs a stretch as it is, with the hooks in, and one without them that marks its phases by bench's recorder.

    python benchmarks/_attached_agreement.py STEPS_FILE PALINDROMES
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from perfkit.engine.attach import environment
from perfkit.records import BACKWARD, FORWARD, OPTIMIZER, STEPS, UNKNOWN, StepRecord
from perfkit.runfolder import StudyFolder
from perfkit.stats import median, ratio_interval
from perfkit.study.attached.read import process_folders, read_process

PHASES = ("data_wait_s", "forward_s", "backward_s", "optimizer_s", "step_s")
STEPS_EACH = 20
"""Of a stretch. Its first step has what ran before in its caches, its last one ends with what comes next."""
WARM = 10
_SAMPLES, _WIDTH = 64, 384


def rows(palindromes: int) -> list[dict[str, Any]]:
    """Run the script; returns a row for each phase, and for the step: attached ÷ bench's recorder."""
    with tempfile.TemporaryDirectory() as folder:
        study, bench = Path(folder) / "study", Path(folder) / "steps.bin"
        command = [sys.executable, __file__, str(bench), str(palindromes)]
        subprocess.run(command, env=environment(study, os.environ), check=True)
        (process,) = process_folders(StudyFolder(study))
        recorded = read_process(process)
        assert recorded is not None, "nothing was recorded"
        return compared(recorded.steps, list(STEPS.read(bench)), palindromes)


def compared(
    attached: Sequence[StepRecord], bench: Sequence[StepRecord], palindromes: int
) -> list[dict[str, Any]]:
    """Return a row for each phase from the steps of both, warm-up among them, two stretches a palindrome."""
    counts = {len(attached), len(bench)}
    assert counts == {WARM + 2 * palindromes * STEPS_EACH}, f"steps are missing: {counts}"
    found = []
    for phase in PHASES:
        script, player = (_of_palindromes(steps, phase, palindromes) for steps in (attached, bench))
        logs = [math.log(a / b) for a, b in zip(script, player, strict=True)]
        found.append(
            {
                "first": "perfkit run",
                "second": "bench's recorder",
                "phase": phase.removesuffix("_s"),
                "first_step_s": median(script),
                "second_step_s": median(player),
                "ratio": ratio_interval(logs),
                "rounds": palindromes,
            }
        )
    return found


def _of_palindromes(steps: Sequence[StepRecord], phase: str, palindromes: int) -> list[float]:
    """Mean seconds of a phase in both stretches of each palindrome."""
    stretches = [
        steps[begin + 1 : begin + STEPS_EACH - 1]
        for begin in range(WARM, WARM + 2 * palindromes * STEPS_EACH, STEPS_EACH)
    ]
    means = [fmean(getattr(step, phase) for step in stretch) for stretch in stretches]
    return [(a + b) / 2 for a, b in zip(means[::2], means[1::2], strict=True)]


def _measured(path: Path, palindromes: int) -> None:
    """In the script: stretches of both kinds, in palindromes."""
    import torch
    from _attached import _Hooks

    from perfkit.training.probe.recorder import Recorder

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(*(torch.nn.Linear(_WIDTH, _WIDTH) for _ in range(4)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    recorder = Recorder(path)
    hooks = _Hooks()
    hooks.take_out()
    bare = _batches()
    hooks.put_in()
    recorded = _batches()

    def script(steps: int) -> None:
        for _ in range(steps):
            loss = model(next(recorded)).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    def marked(steps: int) -> None:
        hooks.take_out()
        for _ in range(steps):
            recorder.before_next(UNKNOWN, UNKNOWN)
            batch = next(bare)
            recorder.after_next(_SAMPLES)
            recorder.enter(FORWARD)
            loss = model(batch).square().mean()
            recorder.leave(FORWARD)
            recorder.enter(BACKWARD)
            loss.backward()
            recorder.leave(BACKWARD)
            recorder.enter(OPTIMIZER)
            optimizer.step()
            recorder.leave(OPTIMIZER)
            optimizer.zero_grad()
        recorder.end_step()
        hooks.put_in()

    script(WARM), marked(WARM)
    for number in range(palindromes):
        first, second = (script, marked) if number % 2 else (marked, script)
        for loop in (first, second, second, first):
            loop(STEPS_EACH)
    recorder.close()


def _batches() -> Iterator[Any]:
    """Batches without end, made by the script's own process while it waits."""
    import torch
    from torch.utils.data import DataLoader, IterableDataset

    class Endless(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            while True:
                yield torch.randn(_SAMPLES, _WIDTH)

    return iter(DataLoader(Endless(), batch_size=None, num_workers=0))


if __name__ == "__main__":
    _measured(Path(sys.argv[1]), int(sys.argv[2]))
