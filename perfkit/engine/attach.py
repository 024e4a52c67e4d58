"""How a command is started with the recorder in it: an environment, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import perfkit

_PACKAGE = Path(perfkit.__file__).resolve().parent
_BOOTSTRAP = _PACKAGE / "training" / "attach" / "bootstrap"


def environment(study: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command whose training processes record into `study`.

    `PYTHONPATH` gets the folder of our `sitecustomize` in front, `PERFKIT_HOME` tells where perfkit
    is, `PERFKIT_STUDY` the study; nothing else differs from `base`. Python started with `-I`, `-E` or
    `-S` looks at none of them and runs unattached.

    Args:
        study: folder of the study; training processes make `processes/<pid>/` in it.
        base: what the command would have been given, e.g. `os.environ`.
    """
    before = base.get("PYTHONPATH")
    # an empty entry would be the working directory
    path = f"{_BOOTSTRAP}{os.pathsep}{before}" if before else str(_BOOTSTRAP)
    ours = {"PERFKIT_HOME": str(_PACKAGE.parent), "PERFKIT_STUDY": str(study.resolve())}
    return {**base, **ours, "PYTHONPATH": path}
