"""`perfkit compare`: two stored runs, row by row, with gates for CI."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

import typer

from perfkit.cli.options import command_line
from perfkit.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_OK


def compare(
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="A study folder, a file that --json wrote, or latest."),
    ],
    new: Annotated[
        str | None,
        typer.Argument(metavar="NEW", help="Likewise; latest if left out.", show_default=False),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="GATES",
            help="Exit with 1 if one trips: slower:5%,memory:5%,inconclusive. A limit on time is"
            " passed only when the whole interval lies beyond it.",
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option(help="Write the comparison to a file; - is stdout.")
    ] = None,
) -> int:
    """Hold two runs against each other: faster, slower, same or inconclusive, row by row.

    Where both have the same reference, speed-ups over it are compared, which cancels what befell the machine
    between the runs. Exit codes: 0; 1 a gate tripped or a row fails now; 4 inconclusive, without a gate.
    """
    from perfkit.cli import stored
    from perfkit.cli.output import check_json_target, write_answer
    from perfkit.study import compare as study
    from perfkit.study import gate

    gates = gate.parse(fail_on)
    check_json_target(json)
    before, after = stored.find(old), stored.find(new or "latest")
    found = study.compare(
        before.document,
        after.document,
        names=(before.name, after.name),
        command=command_line(),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        gates=gates,
    )
    write_answer(found, json)
    if found.tripped or any(row.fails_now for row in found.compared):
        return EXIT_FAILED
    is_open = any(row.judged and row.judged.outcome == "inconclusive" for row in found.compared)
    return EXIT_INCONCLUSIVE if is_open and not gates else EXIT_OK
