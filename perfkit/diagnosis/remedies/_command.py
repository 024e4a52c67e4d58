"""The command that tries a remedy beside the training as it is, with the settings that it was measured in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from perfkit import variants
from perfkit.config import RunConfig
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.remedies._contract import Proposal
from perfkit.settings import FLAGGED, written

_FLAGS = {"num_threads": "threads", "memory_limit_bytes": "memory-limit"}
_NO_FLAG = (
    "arch", "variants", "devices", "parallel", "lr_batch_size", "malloc", "cache_dir",
    "accumulate", "workload", "workload_chosen", "workload_untrained",
)  # fmt: skip
_BY_MACHINE = ("num_workers", "num_threads")
_BY_GPU = (*_BY_MACHINE, "batch_size", "num_samples", "pin_memory")
"""Settings whose default is the machine's (`study/sizes.py`) and not RunConfig's: they are always named."""


def command(evidence: Evidence, proposal: Proposal) -> str | None:
    """Return it; None where perfkit cannot try the remedy."""
    if proposal.variant is None and not proposal.settings and not proposal.archs:
        return None
    config = evidence.config
    own = _own_variants(config)
    words = ["perfkit", "bench", "--arch", config.arch]
    for arch in proposal.archs:
        words += ["--arch", arch]
    if own != "fp32":
        words += ["--variant", own]
    if proposal.variant is not None:
        words += ["--variant", combined(config, proposal.variant)]
    return shlex.join([*words, "--device", config.device, *_settings(config, proposal.settings)])


def combined(config: RunConfig, *changes: str) -> str:
    """Return a training's own variants with others, as text; a new precision takes the place of its own.

    Variants that are plain settings are left out: the command names those as flags.
    """
    return changed(variants.parse(_own_variants(config)), *changes)


def changed(pairs: variants.Pairs, *changes: str) -> str:
    """Return variants with others, as canonical text; a later one takes the place of an earlier one."""
    found = dict(pairs)
    for change in changes:
        # a text that names no precision reads as FP32; here it means that of the training
        new = {n: v for n, v in variants.parse(change) if n in names_of(change)}
        if any(is_precision(name) for name in new):
            found = {n: v for n, v in found.items() if not is_precision(n)}
        found |= new
    return variants.text(variants.canonical(tuple(found.items())))


def names_of(change: str) -> set[str]:
    """Return the names of the variants in a text."""
    return {part.strip().partition("=")[0] for part in change.split("+")}


def is_precision(name: str) -> bool:
    """Whether a variant is a precision, of which a training has one."""
    return variants.get(name).stage == "precision"


def _own_variants(config: RunConfig) -> str:
    """Variants that are no plain settings, and the settings that have no flag."""
    pairs = [(n, v) for n, v in config.variants if variants.get(n).stage != "settings"]
    # perfkit keeps freed memory on a CPU, where no limit is set to it
    kept = config.device.startswith("cpu") and config.memory_limit_bytes is None
    if config.malloc != ("keep" if kept else "default"):
        pairs.append(("malloc", config.malloc))
    if config.accumulate > 1:
        pairs.append(("accumulate", str(config.accumulate)))
    return variants.text(variants.canonical(tuple(pairs)))


def _settings(config: RunConfig, changed: Mapping[str, Any]) -> list[str]:
    named = _BY_GPU if config.device.startswith("cuda") else _BY_MACHINE
    words = []
    for setting in fields(RunConfig):
        if setting.name in _NO_FLAG:
            continue
        value = changed.get(setting.name, getattr(config, setting.name))
        if value == setting.default and setting.name not in named:
            continue
        flag = _FLAGS.get(setting.name, setting.name.replace("_", "-"))
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", str(value)]
    # a variant's own settings are those of the row that is diagnosed, like every other setting
    changed_by_variant = [name for name, _ in config.variants if name in config.workload]
    for name in dict.fromkeys((*config.workload_chosen, *changed_by_variant)):
        text = written(config.workload[name])
        flagged = name in FLAGGED
        words += [f"--{name.replace('_', '-')}", text] if flagged else ["--set", f"{name}={text}"]
    return words
