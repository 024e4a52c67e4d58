"""Remedies for a script: told at the lines that they are about, confirmed by running it again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from perfkit.document import Remedy
from perfkit.study.attached.passes import Place
from perfkit.study.attached.result import AttachedRun
from perfkit.study.attached.work import OURS

OF_THE_LOADER = (
    "num_workers", "fewer_workers", "prefetch_factor", "persistent_workers", "pin_memory", "pack_tensors",
    "worker_threads", "batched_fetch", "cache_decoded", "vectorised_collate", "batch_size",
)  # fmt: skip
"""Remedies that change the loader which the training goes over, or its dataset."""
_KEYWORDS = ("num_workers", "prefetch_factor", "persistent_workers", "pin_memory")
GROWING = "constant_steps"
EVALUATED_BY_STEPS = """\
if step % (2 * every) == 0:
    evaluate(model, eval_loader)
"""
OF_EVALUATION = ("eval_batched", "eval_every")


class SlowSetting(NamedTuple):
    """What takes a setting away that slows every step."""

    remedy: str
    snippet: str
    risk: str
    changes_training: bool = False


SLOW_SETTINGS = {
    "anomaly_mode": SlowSetting(
        "no_anomaly_mode",
        "torch.autograd.set_detect_anomaly(False)",
        "An operator that gives NaN is no longer named; the training stays the same.",
    ),
    "deterministic": SlowSetting(
        "any_algorithms",
        "torch.use_deterministic_algorithms(False)",
        "Two runs no longer agree to the last bit; the training stays the same else.",
    ),
    "dense_embedding": SlowSetting(
        "sparse_embedding",
        "table = nn.Embedding(rows, width, sparse=True)\n"
        "rest = [one for one in model.parameters() if one is not table.weight]\n"
        "optimizers = [torch.optim.SparseAdam([table.weight], lr=lr), torch.optim.Adam(rest, lr=lr)]",
        "SparseAdam moves only the rows of the batch, where Adam moves all by their momentum.",
    ),
    "float64": SlowSetting(
        "float32",
        "model = model.float()\ninputs = inputs.float()  # numpy's numbers are float64",
        "Seven digits in place of 15: too few for second derivatives of some equations.",
        changes_training=True,
    ),
    "padding": SlowSetting(
        "pad_to_longest",
        "# in collate_fn, of texts that the dataset leaves at their own lengths; in transformers it is\n"
        "# DataCollatorWithPadding(tokenizer), and group_by_length puts texts of like length together\n"
        "tokens = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=padding)",
        "Batches differ in shape then: torch.compile needs dynamic=True. Texts put together by their length"
        " come in another order.",
    ),
}
"""By the code of the fact that tells of it."""
ON_THE_COMMAND_LINE = "perfkit compare {study} latest"


def at_their_lines(
    found: Sequence[Remedy], run: AttachedRun, study: str, *, computing: bool
) -> tuple[Remedy, ...]:
    """Return the remedies, each told with file and line where it has one, in their order.

    The command of each is what confirms it: change the script, run it again, compare.

    Args:
        study: folder of the study.
        computing: whether computing is what takes the time, so that settings which slow it come first.
    """
    command = ON_THE_COMMAND_LINE.format(study=study)
    if run.loop.widest.own:
        # settings of a DataLoader, which it is not
        found = [one for one in found if (one.variant or "").partition("=")[0] not in _KEYWORDS]
    if run.loop.widest.batch_size is None and all(step.samples < 0 for step in run.loop.steps):
        # nobody knows how many samples a batch has
        found = [one for one in found if not (one.variant or "").startswith("batch_size")]
    told = [replace(_at_its_line(one, run), command=command) for one in found]
    slow = [replace(one, command=command) for one in _slow_settings(run)]
    if not computing:
        return (*told, *slow)
    # what was seen of this training comes before what can be bounded of any
    growing = [one for one in told if one.name == GROWING]
    return (*slow, *growing, *(one for one in told if one.name != GROWING))


def _slow_settings(run: AttachedRun) -> list[Remedy]:
    facts = {str(fact.get("code")): fact for fact in run.recorded.told("fact")}
    return [
        Remedy(
            name=slow.remedy,
            basis="bound",
            why=str(facts[code].get("text")),
            risk=slow.risk,
            snippet=f"{slow.snippet}\n",
            answers=("compute_bound",),
            changes_training=slow.changes_training,
        )
        for code, slow in SLOW_SETTINGS.items()
        if code in facts
    ]


def _at_its_line(remedy: Remedy, run: AttachedRun) -> Remedy:
    if remedy.name in OF_THE_LOADER:
        return _of_the_loader(remedy, run.loop.widest)
    if remedy.name in OF_EVALUATION:
        return _of_evaluation(remedy, run)
    if remedy.name == "periodic_every":
        longest = max(run.loop.work_s, key=lambda name: run.loop.work_s[name])
        return remedy if longest in OURS else _with_comment(remedy, longest)
    if remedy.name in ("frozen_outputs", "vectorised_forward"):
        return _with_comment(remedy, next(iter(run.evidence.long_forward)))
    if remedy.name == "batches_ahead":
        return _with_comment(remedy, next(iter(run.evidence.untracked)))
    return remedy


def _of_the_loader(remedy: Remedy, place: Place) -> Remedy:
    if place.where is None:
        return remedy
    what = f"the {'batches' if place.own else 'DataLoader'} that {place.where} iterates"
    name, _, value = (remedy.variant or "").partition("=")
    if name in _KEYWORDS:
        remedy = replace(remedy, snippet=_call(place, name, value))
    if name == "persistent_workers" and place.made_anew:
        what = (
            f"{what}, made once, before the loop over epochs: it is made anew for each of them now"
        )
    return _with_comment(remedy, what)


def _call(place: Place, name: str, value: str) -> str:
    """The call of the loader with one setting changed, the others as they are."""
    settings = {
        "batch_size": place.batch_size,
        "num_workers": place.num_workers,
        "prefetch_factor": place.prefetch_factor,
        "persistent_workers": place.persistent_workers,
        "pin_memory": place.pin_memory,
    }
    is_flag = name in ("persistent_workers", "pin_memory")
    settings[name] = value != "0" if is_flag else int(value)
    if name == "num_workers":
        settings["persistent_workers"] = settings["num_workers"] > 0  # type: ignore[operator]
    if not settings["num_workers"]:
        settings |= {"prefetch_factor": None, "persistent_workers": False}
    told = [f"{key}={said}" for key, said in settings.items() if said not in (None, False, 0)]
    if name == "num_workers" and not settings["num_workers"]:
        told.append("num_workers=0")
    return f"loader = DataLoader(dataset, {', '.join(told)})\n"


def _of_evaluation(remedy: Remedy, run: AttachedRun) -> Remedy:
    longest: dict[int, float] = {}
    for one in run.loop.passes.evaluation:
        spent_s = sum(step.step_s for step in one.steps)
        longest[one.place] = longest.get(one.place, 0.0) + spent_s
    places = sorted(longest, key=lambda number: -longest[number])
    where = next((w for n in places if (w := run.loop.passes.place(n).where)), None)
    if remedy.name == "eval_every" and _is_within_epochs(run):
        remedy = replace(remedy, snippet=EVALUATED_BY_STEPS)
    return remedy if where is None else _with_comment(remedy, f"the evaluation at {where}")


def _is_within_epochs(run: AttachedRun) -> bool:
    """Whether most evaluations are made between steps of an epoch, and not between epochs."""
    passes, main = run.loop.passes, run.loop.main.number
    epochs = [(p.steps[0], p.steps[-1]) for p in passes.training if p.place == main and p.steps]
    within = [
        any(first.start_ns < one.began_ns < last.start_ns for first, last in epochs)
        for one in passes.evaluation
    ]
    return 2 * sum(within) > len(within)


def _with_comment(remedy: Remedy, what: str) -> Remedy:
    """The place in front of the lines to change, and at the end of why."""
    snippet = f"# {what}\n{remedy.snippet}" if remedy.snippet else ""
    return replace(remedy, why=f"{remedy.why} Where: {what}.".strip(), snippet=snippet)
