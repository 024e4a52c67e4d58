"""One grammar for variants: `name[=value]` joined by `+`, e.g. `bf16+compile=max-autotune+num_workers=4`.

The canonical text names the precision first, then the others by name, whatever order they were
written in; it is the flag's value, the second half of a row's key and what a remedy names.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.settings import written
from perfkit.variants._contract import STAGES, Variant
from perfkit.variants._settings import TABLE, of_workload

DEFAULT_PRECISION = "fp32"
Pairs = tuple[tuple[str, str | None], ...]


def get(name: str) -> Variant:
    """Return the variant `name`: a file's, a setting of every training, or else a workload's own setting.

    Whether a workload has a setting of that name is found when its settings are changed.

    Raises:
        UsageError: its file breaks the contract, or has the name of a setting of every training.
    """
    files = discovery.names("variants")
    if name in TABLE:
        if name in files:
            raise UsageError(
                f"{name} is a variant of perfkit's own", hint="rename the one in your PERFKIT_PATH"
            )
        return TABLE[name]
    return _load(name) if name in files else of_workload(name)


@cache
def _load(name: str) -> Variant:
    module = discovery.load("variants", name)
    stage = getattr(module, "STAGE", "settings")
    if stage not in STAGES:
        raise UsageError(f"variant {name}: STAGE is {stage!r}, not one of {', '.join(STAGES)}")
    if not module.__doc__:
        raise UsageError(f"variant {name}: the file has no docstring saying what it changes")
    value = getattr(module, "VALUE", None)
    required = value is not None and not value.startswith("[")
    return Variant(
        name=name,
        doc=module.__doc__.strip(),
        stage=stage,
        value=value,
        value_required=required,
        normalise=getattr(module, "normalise", lambda value: value),
        change=getattr(module, "change", lambda config, value: config),
        supported=getattr(module, "supported", lambda device: None),
        apply=getattr(module, "apply", lambda training, value: None),
        read_back=getattr(module, "read_back", lambda training: {}),
    )


def parse(text: str) -> Pairs:
    """Read a variant's text into canonical (name, value) pairs; no precision named means FP32.

    Raises:
        UsageError: an unknown name, a bad value, a name twice, two precisions.
    """
    pairs: dict[str, str | None] = {}
    for part in text.split("+"):
        name, equals, raw = part.strip().partition("=")
        if not name:
            raise UsageError(f"{text!r} names no variant between its + signs")
        if not equals and name not in names():
            raise discovery.unknown("variant", name, names())
        variant = get(name)
        value = raw if equals else None
        if variant.value is None and value is not None:
            raise UsageError(f"{part.strip()}: {name} takes no value")
        if variant.value_required and not value:
            raise UsageError(f"{name} needs a value", hint=f"write {name}={variant.value}")
        if name in pairs:
            raise UsageError(f"{text!r} names {name} twice")
        pairs[name] = variant.normalise(value)
    return canonical(tuple(pairs.items()))


def canonical(pairs: Pairs) -> Pairs:
    """Order pairs: the precision (FP32 when none is named) first, the others by name.

    Raises:
        UsageError: two precisions.
    """
    precisions = [pair for pair in pairs if get(pair[0]).stage == "precision"]
    if len(precisions) > 1:
        both = " and ".join(name for name, _ in precisions)
        raise UsageError(f"{both} are both precisions: one at a time", hint="ask for two rows")
    others = sorted(pair for pair in pairs if get(pair[0]).stage != "precision")
    return (*(precisions or [(DEFAULT_PRECISION, None)]), *others)


def text(pairs: Pairs) -> str:
    """Return the canonical text of canonical pairs."""
    return "+".join(name if value is None else f"{name}={value}" for name, value in pairs)


def configure(base: RunConfig, pairs: Pairs) -> RunConfig:
    """Return the settings of one row: every variant's change, and only the variants that change anything.

    A variant that asks for what the base already has is dropped from the row's variants.

    Raises:
        UsageError: a variant asks for a setting that no training can have.
    """
    kept = []
    config = base
    for name, value in in_order(pairs):
        variant = get(name)
        try:
            changed = variant.change(config, value)
        except ValueError as error:
            raise UsageError(f"{name}={value}: {error}") from error
        if variant.stage == "settings" and changed == config:
            continue
        config = changed
        own = config.workload.get(name)
        kept.append((name, value if own is None else written(own)))
    return replace(config, variants=canonical(tuple(kept)))


def in_order(pairs: Pairs) -> list[tuple[str, str | None]]:
    """Return pairs in the order in which they are applied: by stage, compile last."""
    return sorted(pairs, key=lambda pair: (STAGES.index(get(pair[0]).stage), pair[0]))


def names() -> tuple[str, ...]:
    """Return the names of the variants that need no workload to have a setting of theirs, sorted."""
    return tuple(sorted({*discovery.names("variants"), *TABLE}))


def known() -> tuple[Variant, ...]:
    """Return those variants."""
    return tuple(get(name) for name in names())
