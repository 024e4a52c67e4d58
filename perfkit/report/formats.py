"""The formats of a report that are text alone: an explicit tuple, chosen by name or by a file's suffix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perfkit.report import console, csvfile, markdown, summary
from perfkit.report.stored import StoredAnswer


@dataclass(frozen=True, kw_only=True)
class Format:
    """One way to write answers down."""

    name: str
    suffixes: tuple[str, ...]
    """File names that ask for it."""
    render: Callable[[Sequence[StoredAnswer]], str]
    has_plots: bool = False
    appends: bool = False
    """It is added to what a file holds: a CI job's steps share one page."""


FORMATS = (
    Format(
        name="markdown",
        suffixes=(".md", ".markdown", ".txt", ""),
        render=markdown.report,
        has_plots=True,
    ),
    Format(name="csv", suffixes=(".csv",), render=csvfile.report),
    Format(name="summary", suffixes=(), render=summary.report, appends=True),
    Format(name="console", suffixes=(), render=console.report),
)
