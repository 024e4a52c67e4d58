"""Remedies in words: what each is called, what it is predicted to gain and how that is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perfkit import units
from perfkit.document import Basis, Diagnosis, Document, Remedy
from perfkit.report.columns import plain
from perfkit.report.diagnose import figures
from perfkit.report.diagnose.kinds import primary_of, title
from perfkit.stats import Interval

BASES: dict[Basis, str] = {
    "arithmetic": "calculated",
    "trialled": "tried briefly",
    "bound": "at most",
}
EXPLAINED = {
    "calculated": "from the measured parts of an epoch",
    "tried briefly": "from those and a trial of some seconds",
    "at most": "no more than that, and perhaps nothing",
}
MISSED = "missed"
_HIT_WITHIN = 0.1
"""A prediction hits what was measured so close to it, whatever their intervals."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A remedy's line; what is not known is a dash."""

    name: str
    predicted: str
    measured: str
    saves: str
    basis: str


def ordered(remedies: Sequence[Remedy]) -> tuple[list[Remedy], list[Remedy]]:
    """Return the remedies that leave the training as it is, and those that change what comes out of it."""
    kept = [one for one in remedies if not one.changes_training]
    return kept, [one for one in remedies if one.changes_training]


def to_try(diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedies in the order in which to try them, without those that gained nothing when they ran.

    First what answers the primary verdict, then what leaves the training as it is. Of those that have run it
    is the one that gained most, before all others; before these, one that surely gained.
    """
    kept, changing = ordered([one for one in diagnosis.remedies if not _useless(one)])
    primary = primary_of(diagnosis)
    answers = [] if primary is None else [r for r in (*kept, *changing) if r.answers_to(primary)]
    run = sorted(
        (one for one in kept if one.measured_speedup is not None),
        key=_gained,
        reverse=True,
    )
    found: list[Remedy] = []
    for one in (*run, *answers, *kept, *changing):
        if one not in found:
            found.append(one)
    return found


def name_of(remedy: Remedy) -> str:
    """Return what a remedy is called: its variant, else its name."""
    if remedy.variant is None:
        return title(remedy.name)
    variant = plain(remedy.variant)
    named = plain(remedy.name)
    return variant if named in variant else f"{title(named)}: {variant}"


def gain(remedy: Remedy, unit: units.Unit) -> Gain:
    """Return what is known of a remedy, its seconds in a unit."""
    return Gain(
        name=name_of(remedy),
        predicted=predicted(remedy),
        measured=measured(remedy),
        saves=saves(remedy, unit),
        basis=_basis(remedy),
    )


def predicted(remedy: Remedy) -> str:
    """Return the predicted speed-up of an epoch; of a bound only its upper end says anything."""
    found = remedy.predicted_speedup
    if found is None:
        return units.MISSING
    if remedy.basis == "bound":
        return f"up to {units.ratio(found.value if found.high is None else found.high)}"
    return _ratio(found)


def measured(remedy: Remedy) -> str:
    """Return the measured speed-up and whether it is what was predicted; a dash before it has run."""
    found = remedy.measured_speedup
    if found is None:
        return units.MISSING
    return ", ".join(part for part in (_ratio(found), verified(remedy)) if part)


def verified(remedy: Remedy) -> str:
    """Say whether what was measured is what was predicted: their intervals meet, or it is so close."""
    told, came = remedy.predicted_speedup, remedy.measured_speedup
    if told is None or came is None:
        return ""
    (least, most), (low, high) = _ends(told), _ends(came)
    close = abs(came.value / told.value - 1) <= _HIT_WITHIN if told.value else False
    # to a small gain that is any: at least half of it should be possible
    close = close and high - 1 >= (told.value - 1) / 2
    meets = close or (low <= most and least <= high)
    below = came.value < told.value
    if meets:
        return "within the bound" if remedy.basis == "bound" else "as predicted"
    return f"{MISSED}: {'less' if below else 'more'} than predicted"


def saves(remedy: Remedy, unit: units.Unit) -> str:
    """Return the seconds of an epoch that a remedy is predicted to save."""
    found = remedy.saves_s
    if found is None:
        return units.MISSING
    if remedy.basis == "bound":
        most = found.value if found.high is None else found.high
        return f"up to {figures.span(Interval(most), unit)}"
    return figures.span(found, unit)


def sentence(remedy: Remedy, unit: units.Unit) -> str:
    """Return a remedy with its gain on a line: `num_workers=5: 1.83× [1.61–2.05], saves 12.3 s an epoch`."""
    line = gain(remedy, unit)
    if remedy.measured_speedup is not None:
        known = f"{_ratio(remedy.measured_speedup)}, measured"
        return f"{line.name}: {known}; predicted {line.predicted} ({line.basis})"
    said = [line.predicted] if line.predicted != units.MISSING else []
    said += [f"saves {line.saves} an epoch"] if line.saves != units.MISSING else []
    if not said:
        return f"{line.name}; what it gains is not known"
    # a bound says by itself what it is
    basis = "" if remedy.basis == "bound" else f" ({line.basis})"
    return f"{line.name}: {', '.join(said)}{basis}"


def epochs(document: Document, unit: units.Unit) -> list[str]:
    """Say of every remedy that was run what an epoch took beside it and with it, and what was predicted."""
    verified = document.method.get("verified") or {}
    now_s, told = verified.get("now_s"), verified.get("remedies") or {}
    if now_s is None or document.diagnosis is None:
        return []
    return [
        f"{name_of(one)}: an epoch took {units.seconds(told[one.name]['measured_epoch_s'], unit)} with it and"
        f" {units.seconds(now_s, unit)} without, side by side; predicted"
        f" {units.seconds(told[one.name]['predicted_epoch_s'], unit)}."
        for one in document.diagnosis.remedies
        if one.name in told
    ]


def explained(remedies: Iterable[Remedy]) -> str:
    """Say what the bases mean that are among these remedies."""
    found = {_basis(one) for one in remedies}
    return "; ".join(f"{basis}: {told}" for basis, told in EXPLAINED.items() if basis in found)


def is_confirmed_by_hand(remedy: Remedy) -> bool:
    """Whether its command runs nothing but compares: the script is somebody's own, and theirs to change."""
    return remedy.command is not None and remedy.command.startswith("perfkit compare")


def language(snippet: str) -> str:
    """Return what lines to paste are written in: a shell's, or Python."""
    first = snippet.strip().partition("\n")[0]
    of_a_shell = ("export ", "perfkit ", "torchrun ", "python ", "pip ", "$ ", "OMP_", "KMP_")
    return "sh" if first.startswith(of_a_shell) else "python"


def _basis(remedy: Remedy) -> str:
    nothing = remedy.predicted_speedup is None and remedy.saves_s is None
    return units.MISSING if nothing else BASES[remedy.basis]


def _ratio(found: Interval) -> str:
    return " ".join(units.ratio_interval(found.value, found.low, found.high)).rstrip()


def _useless(remedy: Remedy) -> bool:
    return remedy.measured_speedup is not None and remedy.measured_speedup.value <= 1


def _gained(remedy: Remedy) -> tuple[bool, float]:
    """Whether it surely gained, and what."""
    found = remedy.measured_speedup
    return _ends(found)[0] > 1, 0.0 if found is None else found.value


def _ends(found: Interval | None) -> tuple[float, float]:
    if found is None:
        return 0.0, 0.0
    if found.low is None or found.high is None:
        return found.value, found.value
    return found.low, found.high
