"""The benchmarks are scripts, not a package: their folder is put where they themselves find each other."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
