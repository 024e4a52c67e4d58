"""What single remedies propose: the variant that they name, its risk, and what it does to the pipeline."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

import pytest
from cases import (
    ALONE,
    CASES,
    COMPILED,
    COMPUTE,
    DECODES,
    FOUR,
    GPU,
    QUICK,
    SLEEPS,
    propose,
)
from pipelines import WORKERS, attributed, judged

from perfkit.diagnosis.evidence import Evidence, OwnWork
from perfkit.diagnosis.predict import epoch_s, pipeline_of
from perfkit.diagnosis.remedies import remedies


def variant(name: str, made: Evidence, judgement: Any = COMPUTE) -> str | None:
    """The variant that a remedy names."""
    proposal = propose(name, made, judgement)
    assert proposal is not None
    return proposal.variant


def test_workers_by_cores() -> None:
    """Decoding takes the cores that are left, blocked workers more; without the judge's number the fewest."""
    decoding = attributed(cores=4, waiting=6.0, compute=1.0, row=DECODES)
    blocked = attributed(cores=4, waiting=6.0, compute=1.0, row=SLEEPS)
    assert variant("num_workers", decoding, judged("input_bound", "decode", 7)) == "num_workers=3"
    assert variant("num_workers", blocked, judged("input_bound", "storage", 7)) == "num_workers=7"
    assert variant("num_workers", blocked, judged("input_bound", "storage")) == "num_workers=7"
    mixed = {"loader": {"fetch_s": 0.07, "fetch_cpu_s": 0.02}}
    some = attributed(cores=4, waiting=6.0, compute=1.0, row=mixed)
    assert variant("num_workers", some, judged("input_bound", "storage", 30)) == "num_workers=10"


def test_stalls_are_no_matter_of_workers() -> None:
    """A loader that is fast enough on average has enough of them."""
    made, _ = CASES["prefetch_factor"]
    assert propose("num_workers", made, judged("input_bound", "storage")) is None


def test_no_workers_for_data_in_memory() -> None:
    """A batch of 0.5 ms is made sooner than it is handed over: workers would be slower, and are no remedy."""
    made = attributed(ALONE, waiting=0.06, compute=0.4, row={"loader": {"fetch_s": 0.0006}})
    assert "num_workers" not in {r.name for r in remedies(made, judged("input_bound", "decode", 1))}


def test_workers_that_only_hand_over() -> None:
    """Samples from memory and a costly hand-over: none is best, and that is arithmetic."""
    made = attributed(FOUR, transfer=5.0, compute=5.0, row=QUICK)
    proposal = propose("fewer_workers", made, judged("input_bound", "transfer"))
    assert proposal is not None
    assert (proposal.variant, proposal.basis) == ("num_workers=0", "arithmetic")
    now = pipeline_of(made)
    assert now is not None
    assert epoch_s(proposal.effect(now)) == pytest.approx(5.1)


def test_persistent_workers_keep_the_first_batch() -> None:
    """Of an epoch's start what starting workers took is saved; untimed, all but a batch's making."""
    config = replace(WORKERS, persistent_workers=False)
    for row, left in (
        ({"startup_s": {"worker_start": 1.5}}, 0.5),
        ({"loader": {"fetch_s": 0.05}}, 0.05),
    ):
        made = attributed(config, compute=8.0, startup=2.0, row=row)
        proposal, now = propose("persistent_workers", made, COMPUTE), pipeline_of(made)
        assert proposal is not None and now is not None
        assert proposal.effect(now).start_s == pytest.approx(left)


def test_modes_of_compile() -> None:
    """Launches call for CUDA graphs, on a GPU; what is compiled already is tried in another mode."""
    assert variant("compile", attributed(compute=10.0)) == "compile"
    assert variant("compile", attributed(COMPILED, compute=10.0)) == "compile=max-autotune"
    launching = attributed(GPU, compute=6.0, host_launch=4.0)
    assert variant("compile", launching) == "compile=reduce-overhead"
    assert variant("compile", attributed(compute=6.0, host_launch=4.0)) == "compile"


def test_the_costliest_synchronisation_is_named() -> None:
    """By file and line, where a burst saw it; without a burst the seconds are told all the same."""
    made, judgement = CASES["fewer_syncs"]
    seen = propose("fewer_syncs", made, judgement)
    blind = propose("fewer_syncs", replace(made, burst=None), judgement)
    assert seen is not None and blind is not None
    assert "train.py:40" in seen.why and "most often" not in blind.why


def test_whether_a_larger_batch_fits() -> None:
    """Said where both are known, admitted where not."""
    made, judgement = CASES["batch_size"]
    known = propose("batch_size", made, judgement)
    unknown = propose("batch_size", attributed(GPU, compute=10.0), judgement)
    assert known is not None and unknown is not None
    assert known.variant == "batch_size=32+scale_lr=1"
    assert "2.00 GiB of the 80.0 GiB" in known.risk
    assert "not known" in unknown.risk


def test_depth_of_the_queue() -> None:
    """0.6 s beside steps of 40 ms: fifteen batches more than the two there are."""
    made, judgement = CASES["prefetch_factor"]
    assert variant("prefetch_factor", made, judgement) == "prefetch_factor=17"


def test_decoded_samples_are_kept_where_decoding_takes_the_trainer_s_cores() -> None:
    """Batches are there in time, and 2 s of the epoch go with the workers' computing, most of it decoding."""
    contended = attributed(FOUR, compute=8.0, contention=2.0, row=DECODES)
    offered = {one.name: one for one in remedies(contended, judged("contended"))}
    kept = offered["cache_decoded"]
    assert kept.basis == "bound" and kept.predicted_speedup is not None
    assert kept.predicted_speedup.low == 1.0 < kept.predicted_speedup.value <= 1.25
    assert "take the training's cores for 2.00 s of an epoch of 10.0 s" in kept.why
    names = {one.name for one in remedies(contended, judged("compute_bound"))}
    assert "cache_decoded" not in names
    collates = {**DECODES["loader"], "fetch_cpu_s": 0.001, "collate_cpu_s": 0.03}
    other = attributed(FOUR, compute=8.0, contention=2.0, row={"loader": collates})
    assert "cache_decoded" not in {one.name for one in remedies(other, judged("contended"))}


def test_a_cache_leaves_collating_and_handing_over() -> None:
    """90 of 100 ms that workers compute go: a tenth of 2 s of contention is left; with 20 ms aside more."""
    computes = {**DECODES["loader"], "collate_cpu_s": 0.01}
    for aside_s, left_s in ((0.0, 0.2), (0.02, 0.5)):
        facts = {"loader": {**computes, "serialise_cpu_s": aside_s, "handover_s": 0.0}}
        made = attributed(FOUR, compute=8.0, contention=2.0, row=facts)
        proposal, now = propose("cache_decoded", made, judged("contended")), pipeline_of(made)
        assert proposal is not None and now is not None
        kept = proposal.effect(now)
        assert (kept.cpu_s, kept.aside_s) == (pytest.approx(0.01), pytest.approx(aside_s))
        assert epoch_s(kept) == pytest.approx(8.0 + left_s)


def test_what_is_kept_already_is_not_kept_again() -> None:
    """And the risk says what filling takes once, and what the variant does to augmentation."""
    made, judgement = CASES["cache_decoded"]
    proposal = propose("cache_decoded", made, judgement)
    assert proposal is not None and proposal.variant == "cache_decoded"
    # 100 batches of 90 ms
    assert "takes 9.00 s once" in proposal.risk and "draws once" in proposal.risk
    kept = replace(made.config, variants=(("fp32", None), ("cache_decoded", None)))
    assert propose("cache_decoded", replace(made, config=kept), judgement) is None


def test_full_cores() -> None:
    """Two threads and two workers that have 268 ms to compute in steps of 134 ms of two cores.

    Fewer workers or threads have the same to compute. Threads that sleep, or samples that are kept, may free
    what contention takes.
    """
    facts = {"fetch_s": 0.042, "fetch_cpu_s": 0.04, "collate_s": 0.0, "serialise_cpu_s": 0.002}
    made = attributed(
        replace(FOUR, num_workers=2, num_threads=2),
        cores=2,
        compute=11.3,
        contention=2.1,
        row={"loader": facts},
    )
    offered = {one.name: one for one in remedies(made, judged("contended"))}
    assert not {"fewer_workers", "num_threads", "num_workers"} & set(offered)
    sleeping = offered["passive_threads"].saves_s
    assert sleeping is not None
    assert (sleeping.low, sleeping.high) == (0.0, pytest.approx(2.1))
    assert next(iter(offered)) in ("cache_decoded", "passive_threads")


@pytest.mark.parametrize(
    ("name", "work", "why", "condition"),
    [
        ("checkpoint", None, "'checkpoint' between epochs costs", "epoch % 2 == 0"),
        ("work between epochs", OwnWork(), "Work between epochs costs", "epoch % 2 == 0"),
        (
            "make_plots (train.py:14)",
            OwnWork(between_steps=True, every_steps=50),
            "'make_plots (train.py:14)' every 50 steps costs",
            "step % 100 == 0:\n    make_plots(...)",
        ),
        (
            "train.py:14",
            OwnWork(between_steps=True, every_steps=1),
            "'train.py:14' in every step costs",
            "step % 2 == 0:\n    periodic_work(model, step)",
        ),
        (
            "work between steps",
            OwnWork(between_steps=True),
            "Work in some of the steps costs",
            "step % (2 * every) == 0",
        ),
    ],
)
def test_how_often_periodic_work_is_done(
    name: str, work: OwnWork | None, why: str, condition: str
) -> None:
    """Between steps by the number of the step, else by that of the epoch; half as often either way."""
    made = attributed(compute=8.0, tasks={name: 2.0})
    proposal = propose(
        "periodic_every", replace(made, work={name: work} if work else {}), judged("periodic_bound")
    )
    assert proposal is not None
    assert proposal.why.startswith(why)
    assert f"if {condition}" in proposal.snippet
    ast.parse(proposal.snippet)


@pytest.mark.parametrize(
    ("share", "inner", "inner_share", "named"),
    [
        (0.9, "augment, d.py:1", 0.6, "60 % of making a batch was seen in augment, d.py:1."),
        # a whole `__getitem__` is what caching it is for; a function that takes less than half is no place
        (0.9, None, None, None),
        (0.45, "augment, d.py:1", 0.4, None),
    ],
)
def test_a_function_that_takes_most_of_a_batch_is_to_be_cheaper(
    share: float, inner: str | None, inner_share: float | None, named: str | None
) -> None:
    """Where batches are late, or cores are fought for; where nobody looked nothing is known."""
    work = OwnWork(share=share, inner=inner, inner_share=inner_share)
    late = attributed(waiting=6.0, compute=4.0, row=DECODES)
    seen = replace(late, making={"__getitem__ (d.py:9)": work})
    for judgement in (judged("input_bound", "decode"), judged("contended")):
        proposal = propose("cheaper_sample", seen, judgement)
        assert (proposal.why if proposal else None) == named
        assert propose("cheaper_sample", late, judgement) is None
    assert propose("cheaper_sample", seen, judged("compute_bound")) is None


def test_a_frozen_encoder_is_told_by_the_layers_that_its_caller_runs() -> None:
    """`embed` calls an encoder without gradients: a network computes there, though it is no `forward`."""
    made = attributed(compute=10.0, row={"phases_s": {"forward": 0.08, "backward": 0.02}})
    seen = {"forward (clf.py:50)": OwnWork(share=1.0, inner="embed, clf.py:47", in_network=True)}
    found = propose("frozen_outputs", replace(made, long_forward=seen), judged("compute_bound"))
    assert found is not None and "embed, clf.py:47" in found.why
