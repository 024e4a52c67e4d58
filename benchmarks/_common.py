"""What the benchmarks of perfkit share: flags, interleaving, the watch for foreign load, the answer.

An answer is one table, printed and written twice: `<name>.json` (raw values, SI base units) and
`<name>.md`, which names the command, the machine, the date and every warning.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from perfkit import units
from perfkit.cli.signals import interruptible
from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.engine.questions import prepare, survey
from perfkit.errors import EXIT_INTERRUPTED, PerfkitError
from perfkit.files import write_text
from perfkit.report.escaping import block, text
from perfkit.report.markdown import table
from perfkit.report.remarks import machine
from perfkit.runfolder import write_json
from perfkit.stats import Interval
from perfkit.study.settings import cache_dir
from perfkit.study.sizes import Machine, base_config
from perfkit.telemetry import foreign

RARE_SHARE = 0.05
"""Part of the measurement that may have been disturbed before its figures are not to be quoted."""
PREPARE_S = 300.0
"""What making data may take."""
LEAST_STRETCH_S = 0.1
"""The gauge counts in ticks of 10 ms and can tell nothing of less."""
Row = dict[str, Any]
Show = Callable[[Row], str]


def parser(name: str, doc: str | None, *, full_form: str) -> argparse.ArgumentParser:
    """Return a parser with the flags that every benchmark has.

    Args:
        doc: the module's text, which is the help.
        full_form: how long the full form takes, in words.
    """
    made = argparse.ArgumentParser(
        prog=f"benchmarks/{name}.py",
        description=f"{doc}\nThe full form takes {full_form}; --small some ten seconds.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--out", type=Path, default=Path("reports") / name, help="results folder")
    made.add_argument("--small", action="store_true", help="for function, not for figures")
    return made


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the figures should show, and whether they do; `met` is None where it cannot be told."""

    name: str
    wanted: str
    measured: str
    met: bool | None


@dataclass
class Watch:
    """Looks, stretch by stretch, whether somebody else's load ran beside what was measured."""

    gauge: foreign.Gauge = field(default_factory=foreign.Gauge)
    stretches: int = 0
    disturbed: int = 0
    foreign_cpu_s: float | None = 0.0
    """None once a stretch could not be told."""

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin a stretch; what was before is not judged."""
        self._last = self.gauge.snapshot()

    def mark(self) -> bool:
        """End a stretch and begin the next; returns whether this one was disturbed."""
        before, self._last = self._last, self.gauge.snapshot()
        wall_s = (self._last.t_ns - before.t_ns) * 1e-9
        if wall_s < LEAST_STRETCH_S:
            return False
        foreign_s = foreign.foreign_cpu_s(before, self._last)
        own_s = foreign.own_cpu_s(before, self._last)
        self.stretches += 1
        if foreign_s is None or own_s is None or self.foreign_cpu_s is None:
            self.foreign_cpu_s = None
            return False
        self.foreign_cpu_s += foreign_s
        found = foreign.disturbed(foreign_s, own_s, wall_s, self._last.cores)
        self.disturbed += found
        return found

    def warnings(self) -> list[str]:
        """Return what a reader must know of it, in sentences."""
        if self.foreign_cpu_s is None:
            return ["whether somebody else's load ran beside cannot be told on this system"]
        if not self.disturbed:
            return []
        return [foreign_load(self.disturbed, self.stretches, "stretches of the measurement")]


def foreign_load(disturbed: int, of: int, what: str) -> str:
    """Return the warning that somebody else's load ran beside; a loud one where it was not rare."""
    said = f"{disturbed} of {of} {what} ran beside somebody else's load"
    if disturbed <= RARE_SHARE * of:
        return said
    return f"THE MACHINE WAS NOT QUIET: {said}; do not quote these figures"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one benchmark found."""

    name: str
    title: str
    rows: Sequence[Row]
    """Raw values in SI base units."""
    columns: Sequence[tuple[str, Show]]
    """Titles of the table, and how a row shows there."""
    further: str = ""
    """A second table below it, in Markdown."""
    targets: Sequence[Target] = ()
    remarks: Sequence[str] = ()
    """How it was measured, in sentences."""
    warnings: Sequence[str] = ()
    details: dict[str, Any] = field(default_factory=dict)
    """Further raw values, for the JSON alone."""


def publish(
    answer: Answer, options: argparse.Namespace, argv: Sequence[str], environment: dict[str, Any]
) -> None:
    """Print an answer and write its two files below `--out`."""
    began = options.began
    elapsed_s = time.monotonic() - began
    command = shlex.join(["python", f"benchmarks/{answer.name}.py", *argv])
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    warnings = [*answer.warnings]
    targets = [replace(t, met=None) if options.small else t for t in answer.targets]
    if options.small:
        warnings.append("this is the small form: it shows that the benchmark works, and no figure")
    stored = {
        "benchmark": answer.name,
        "command": command,
        "created": created,
        "small": options.small,
        "elapsed_s": elapsed_s,
        "environment": environment,
        "warnings": warnings,
        "targets": targets,
        "rows": list(answer.rows),
        "details": answer.details,
        "remarks": list(answer.remarks),
    }
    judged = [f"{verdict(t.met)}: {t.name}: {t.measured} (wanted: {t.wanted})" for t in targets]
    parts = [
        f"# {text(answer.title)}",
        "\n".join(f"- **Warning: {text(said)}**" for said in warnings),
        _table(answer, text),
        answer.further,
        "\n".join(f"- {text(said)}" for said in judged),
        "\n".join(f"- {text(said)}" for said in answer.remarks),
        block(command, "sh"),
        f"{text(machine(environment))}; {created}; {units.seconds(elapsed_s)} in all.",
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / f"{answer.name}.json", to_json(stored))
    write_text(options.out / f"{answer.name}.md", "\n\n".join(p for p in parts if p) + "\n")
    further = [f"\n{answer.further}\n"] if answer.further else []
    print("\n".join([_table(answer, str), *further, *judged, *answer.remarks]))
    for said in warnings:
        print(f"WARNING: {said}", file=sys.stderr)
    print(f"written to {options.out / answer.name}.json and .md", file=sys.stderr)


def run(main: Callable[[list[str]], None]) -> None:
    """Run a benchmark's `main` with the command line's arguments; a user's error is told in a line."""
    try:
        with interruptible():
            main(sys.argv[1:])
    except PerfkitError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        sys.exit(f"error: {error.message}{hint}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


def parse(made: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse, and note when the benchmark began."""
    options = made.parse_args(argv)
    options.began = time.monotonic()
    return options


def base(device: str | None, arch: str) -> tuple[RunConfig, dict[str, Any]]:
    """Return the settings that `perfkit bench` gives a workload on this machine, and its survey.

    But for metrics and plots, which are off: they are not what the benchmarks are about.
    """
    found = survey(device, [arch])
    environment: dict[str, Any] = found["environment"]
    machine, declared = Machine.of(found["device"], environment), found["settings"][arch]
    off = {s.name: 0 for s in declared if s.name in ("metrics_every", "viz_every")}
    config = base_config(machine, arch, declared)
    own = {**config.workload, **off}
    return replace(config, cache_dir=str(cache_dir()), workload=own), environment


def make_data(config: RunConfig) -> None:
    """Make the data of a workload where it is not there yet."""
    prepare(config, lambda event: None, timeout_s=PREPARE_S)


def rotated(names: Sequence[str], round_number: int) -> Iterator[str]:
    """Yield an order of names that puts each first equally often, every second time backwards."""
    first = (round_number // 2) % len(names)
    order = [*names[first:], *names[:first]]
    return iter(order if round_number % 2 == 0 else order[::-1])


def verdict(met: bool | None) -> str:
    """Return a target's verdict in a word."""
    return {True: "met", False: "MISSED", None: "not judged"}[met]


def ratio(interval: Interval, digits: int = 4) -> str:
    """Format a ratio with its 95 % interval: `1.0012 [0.9990–1.0034]`."""
    value = f"{interval.value:.{digits}f}"
    if interval.low is None or interval.high is None:
        return value
    return f"{value} [{interval.low:.{digits}f}–{interval.high:.{digits}f}]"


def _table(answer: Answer, escape: Callable[[str], str]) -> str:
    titles = [escape(title) for title, _ in answer.columns]
    cells = [[escape(show(row)) for _, show in answer.columns] for row in answer.rows]
    return table(titles, [False] + [True] * (len(titles) - 1), cells)
