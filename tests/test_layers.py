"""Who imports whom: the design's layers, and a command line that loads no torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "perfkit"
TRAINING_SIDE = ("training",)
PLANTED = {
    "study/planted.py": "from perfkit import report",
    "report/planted.py": "import perfkit.diagnosis",
    "engine/planted.py": "import perfkit.training.player",
    "training/planted.py": "import perfkit.engine",
    "telemetry/planted.py": "def late():\n    import torch",
    "diagnosis/rules/planted.py": "import pandas",
    "training/planted_plot.py": "import matplotlib",
}
"""By file, an import that breaks one contract of its own each."""
NOT_ON_HELP = ("torch", "numpy", "pandas", "matplotlib", "perfkit.study", "perfkit.engine")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the package in a folder."""
    code = "from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        env={"COLUMNS": "200", "PATH": "", "PYTHONPATH": str(folder), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def modules_outside_training() -> list[str]:
    """Every module of ours that the study's side may import."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[1] in TRAINING_SIDE or parts[-1] == "__main__":
            continue
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def in_fresh_process(code: str) -> str:
    """Run Python code in a process of its own and return what it printed last."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_every_contract_is_kept() -> None:
    """import-linter finds nothing in the package as it is."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_contract_bites(tmp_path: Path) -> None:
    """One wrong import for each contract, planted in a copy, breaks every one of them."""
    shutil.copytree(PACKAGE, tmp_path / "perfkit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, line in PLANTED.items():
        (tmp_path / "perfkit" / name).write_text(line + "\n")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert f"Contracts: 0 kept, {len(PLANTED)} broken." in done.stdout


def test_contracts_name_every_package() -> None:
    """A new package has to be added to the contracts that list packages."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert len(packages) >= 8
    for name in packages - {"training", "variants"}:
        assert text.count(f'"perfkit.{name}",') >= 2, f"perfkit.{name} is not in every contract"


def test_nothing_outside_training_imports_torch() -> None:
    """Importing every module of the study's side leaves torch and pandas out; plots alone load matplotlib."""
    names = modules_outside_training()
    plots = [name for name in names if name.startswith("perfkit.report.plots")]
    others = [name for name in names if name not in plots]
    assert len(others) > 40 and plots
    code = (
        "import importlib, sys\n"
        "heavy = {'torch', 'torchvision', 'pandas', 'matplotlib'}\n"
        "def loaded(): return sorted({m.partition('.')[0] for m in sys.modules} & heavy)\n"
        f"for name in {others!r}: importlib.import_module(name)\n"
        "before = loaded()\n"
        f"for name in {plots!r}: importlib.import_module(name)\n"
        "print(before, loaded())"
    )
    assert in_fresh_process(code) == "[] ['matplotlib']"


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "--help"], ["--version"]])
def test_help_loads_next_to_nothing(arguments: list[str]) -> None:
    """Help loads no torch, no numpy, no plots, and nothing of a study."""
    code = (
        "import sys\n"
        f"sys.argv = ['perfkit', *{arguments!r}]\n"
        "from perfkit.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as leave:\n    assert not leave.code, leave.code\n"
        f"print([name for name in {NOT_ON_HELP!r} if name in sys.modules])"
    )
    assert in_fresh_process(code) == "[]"
