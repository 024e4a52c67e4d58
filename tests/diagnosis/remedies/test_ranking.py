"""Which remedies are given, in which order, with which figures and command."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cases import COMPUTE, DECODES, GPU, HOPPER, SLEEPS
from pipelines import WORKERS, attributed, judged

from perfkit.config import RunConfig
from perfkit.diagnosis.predict import predict
from perfkit.diagnosis.remedies import combined, proposals, remedies
from perfkit.stats import Interval

WAITS = attributed(
    waiting=6.0,
    compute=3.0,
    eval=1.0,
    removable={"waiting": Interval(6.0, 5.0, 7.0)},
    row=SLEEPS,
    environment={"bf16_native": True},
)
BLOCKED = judged("input_bound", "storage", 4)


def test_figures_of_workers() -> None:
    """A batch every 90 ms by one worker is one every 22.5 by four: of 7 s of waiting that leaves 0.25 s."""
    first = remedies(WAITS, BLOCKED)[0]
    assert (first.name, first.variant, first.basis) == (
        "num_workers", "num_workers=4", "arithmetic",
    )  # fmt: skip
    saved, faster = first.saves_s, first.predicted_speedup
    assert saved is not None and faster is not None
    assert (saved.low, saved.value, saved.high) == tuple(map(pytest.approx, (5.0, 6.0, 6.75)))
    assert faster.value == pytest.approx(2.5) and faster.low == pytest.approx(2.0)
    assert first.why == (
        "A batch takes 90.0 ms to make, and 1 worker made it while the training waited"
        " 6.00 s of an epoch of 10.0 s."
    )
    assert first.snippet.splitlines()[4] == "    num_workers=4,"


def test_sure_seconds_first_and_other_trainings_last() -> None:
    """By the low end; a bound's is 0; what trains something else comes after all that does not."""
    found = remedies(attributed(compute=9.0, eval=1.0, environment={"bf16_native": True}), COMPUTE)
    names = [remedy.name for remedy in found]
    assert names[0] == "eval_every"
    apart = [remedy.changes_training for remedy in found]
    assert apart == sorted(apart) and True in apart
    lows = [r.saves_s.low or 0.0 for r in found if r.saves_s and not r.changes_training]
    assert lows[1:] == sorted(lows[1:], reverse=True)
    assert len(names) == len(set(names))
    assert {"bf16", "compile", "channels_last", "num_blocks"} <= set(names)
    assert "num_workers" not in names


def test_of_bounds_what_answers_the_primary_verdict_comes_first() -> None:
    """Where workers contend a cache comes before a faster network, which may save more; sure seconds lead."""
    config = replace(WORKERS, num_workers=2)
    made = attributed(config, compute=6.0, contention=2.0, eval=2.0, row=DECODES)
    names = [remedy.name for remedy in remedies(made, judged("contended"))]
    assert names[:2] == ["eval_every", "cache_decoded"]
    other = [remedy.name for remedy in remedies(made, judged("compute_bound"))]
    assert other.index("compile") < other.index("eval_batched")
    assert names.index("cache_decoded") < names.index("compile")


def test_nothing_for_a_network_that_waits() -> None:
    """Behind a slow loader a faster network is no remedy."""
    names = {remedy.name for remedy in remedies(WAITS, BLOCKED)}
    assert not names & {"bf16", "compile", "channels_last", "base_channels", "baseline", "malloc"}


def test_nothing_where_nothing_is_concluded() -> None:
    """Inconclusive measurements carry no advice; without an attribution there is none either."""
    assert remedies(WAITS, judged("inconclusive")) == ()
    assert remedies(replace(WAITS, attribution=None), BLOCKED) == ()


def test_a_trial_takes_the_place_of_a_bound() -> None:
    """Steps 1.25 times as fast in a trial: a fifth of the compute; a slower trial is no remedy."""
    made = attributed(compute=9.0, eval=1.0, cores=None, environment={"bf16_native": True})
    trials = {"bf16": Interval(1.25, 1.2, 1.5), "channels_last": Interval(0.9, 0.8, 0.95)}
    found = {remedy.name: remedy for remedy in remedies(made, COMPUTE, trials)}
    saved = found["bf16"].saves_s
    assert found["bf16"].basis == "trialled" and saved is not None
    assert (saved.low, saved.value, saved.high) == tuple(map(pytest.approx, (1.5, 1.8, 3.0)))
    assert "channels_last" not in found
    assert found["compile"].basis == "bound"


def test_two_remedies_together() -> None:
    """Workers and evaluation every other epoch add up."""
    found = proposals(WAITS, BLOCKED)
    both = predict(WAITS, [found["num_workers"].effect, found["eval_every"].effect])
    assert both is not None and both.saves_s.value == pytest.approx(6.5)


def test_the_command_repeats_the_settings() -> None:
    """Those that are not the default's, and those that the machine would choose; its own variants stay."""
    config = replace(
        WORKERS,
        variants=(("bf16", None), ("compile", None)),
        num_threads=2,
        persistent_workers=False,
        malloc="keep",
    )
    made = attributed(config, waiting=6.0, compute=4.0, row=SLEEPS)
    found = remedies(made, judged("input_bound", "storage", 3))[0]
    assert found.command == (
        "perfkit bench --arch convnext --variant bf16+compile"
        " --variant bf16+compile+num_workers=3 --device cpu --num-samples 1600"
        " --num-workers 1 --no-persistent-workers --threads 2"
    )


def test_commands_on_a_gpu_and_without_a_variant() -> None:
    """Sizes that the GPU's memory would choose are named; a setting without a variant is a plain flag."""
    gpu = replace(GPU, workload_chosen=("image_size",))
    fast = remedies(attributed(gpu, compute=10.0, environment=HOPPER), COMPUTE)
    tf32 = next(remedy for remedy in fast if remedy.name == "tf32")
    assert tf32.command == (
        "perfkit bench --arch convnext --variant tf32 --device cuda:0 --batch-size 16"
        " --num-samples 1600 --num-workers 4 --no-pin-memory --threads 1 --image-size 32"
    )
    config = replace(WORKERS, num_workers=4, num_threads=8, malloc="keep")
    found = remedies(attributed(config, compute=8.0, contention=2.0), judged("contended"))
    threads = next(remedy for remedy in found if remedy.name == "num_threads")
    assert threads.variant is None
    assert threads.command is not None and threads.command.endswith("--threads 4")
    baseline = next(remedy for remedy in fast if remedy.name == "baseline")
    assert baseline.command is not None and "--arch convnext --arch baseline" in baseline.command


@pytest.mark.parametrize(
    ("own", "changes", "text"),
    [
        ("fp32", ("num_workers=4",), "fp32+num_workers=4"),
        ("bf16", ("num_workers=4",), "bf16+num_workers=4"),
        ("fp32", ("bf16", "compile", "num_workers=4"), "bf16+compile+num_workers=4"),
        ("tf32", ("amp",), "amp"),
        ("bf16", ("fp32",), "fp32"),
        ("bf16", ("compile=max-autotune",), "bf16+compile=max-autotune"),
    ],
)
def test_combined_variants(own: str, changes: tuple[str, ...], text: str) -> None:
    """A change of precision takes the place of the training's own; whatever else stays."""
    config = RunConfig(arch="convnext", variants=((own, None),), malloc="keep")
    assert combined(config, *changes) == text
