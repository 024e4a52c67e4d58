"""What every Python process below a run does first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import perfkit
from perfkit.engine.attach import environment

BOOTSTRAP = Path(perfkit.__file__).parent / "training" / "attach" / "bootstrap"


def python(code: str, study: Path, **base: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python that finds its own standard library alone, attached."""
    base = {"PATH": os.environ["PATH"], **base}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=os.path.abspath(os.sep),  # `-c` puts the working directory first in `sys.path`
        env=environment(study, base),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_environment_gains_three_variables(tmp_path: Path) -> None:
    """An empty PYTHONPATH is none: joined with one, it would name the working directory."""
    for before in ({}, {"PYTHONPATH": ""}):
        env = environment(tmp_path, {"A": "b", **before})
        assert env == {
            "A": "b",
            "PYTHONPATH": str(BOOTSTRAP),
            "PERFKIT_HOME": str(Path(perfkit.__file__).parents[1]),
            "PERFKIT_STUDY": str(tmp_path.resolve()),
        }
    env = environment(tmp_path, {"PYTHONPATH": f"/a{os.pathsep}"})
    assert env["PYTHONPATH"] == os.pathsep.join([str(BOOTSTRAP), "/a", ""])


def test_a_process_without_torch_gains_nothing(tmp_path: Path) -> None:
    """No module of ours, no entry of `sys.path`, no folder."""
    code = "import sys; print('perfkit' in sys.modules, 'sitecustomize' in sys.modules, sys.path)"
    done = python(code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(BOOTSTRAP) not in done.stdout
    assert done.stdout.startswith("False")
    assert not list(tmp_path.iterdir())


def test_the_sitecustomize_behind_ours_runs(tmp_path: Path) -> None:
    """As the module of that name, once."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.stdout.write('theirs\\n')\n")
    code = "import sitecustomize; print(sitecustomize.__file__)"
    done = python(code, tmp_path / "study", PYTHONPATH=str(tmp_path))
    assert done.stdout.splitlines() == ["theirs", str(tmp_path / "sitecustomize.py")]


def test_one_that_fails_is_reported_as_without_us(tmp_path: Path) -> None:
    """Python says so in one line, and goes on."""
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('odd')\n")
    done = python("print('runs')", tmp_path / "study", PYTHONPATH=str(tmp_path))
    assert done.stdout == "runs\n"
    assert "ValueError: odd" in done.stderr


def _false_torch(folder: Path, text: str = "") -> None:
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text(text)


def test_a_torch_we_cannot_hook_is_said_once_and_imported(tmp_path: Path) -> None:
    """What fails in our hooks is never an error of the script's."""
    _false_torch(tmp_path, "value = 3\n")
    code = "import torch; print(torch.value, type(torch.__loader__).__name__)"
    done = python(code, tmp_path / "study", PYTHONPATH=str(tmp_path))
    assert done.stdout == "3 SourceFileLoader\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("perfkit: nothing is recorded in process")


def test_a_torch_that_was_only_looked_for_is_still_waited_for(tmp_path: Path) -> None:
    """Libraries ask whether there is one, and what its loader says, before anybody imports it."""
    _false_torch(tmp_path, "value = 3\n")
    code = (
        "import importlib.util, sys\n"
        "found = [importlib.util.find_spec('torch') for _ in range(3)]\n"
        "print([spec.origin == spec.loader.get_filename('torch') for spec in found])\n"
        "print('torch' in sys.modules)\n"
        "import torch\n"
        "print(importlib.util.find_spec('torch') is torch.__spec__, type(torch.__loader__).__name__)\n"
        "print([type(finder).__name__ for finder in sys.meta_path].count('_Torch'))\n"
    )
    done = python(code, tmp_path / "study", PYTHONPATH=str(tmp_path))
    assert done.stdout.splitlines() == [
        "[True, True, True]", "False", "True SourceFileLoader", "0"
    ]  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert line.startswith("perfkit: nothing is recorded in process")


def test_a_torch_that_is_not_there_is_looked_for_as_without_us(tmp_path: Path) -> None:
    """None, and an ImportError of the usual kind."""
    code = (
        "import importlib.util\n"
        "print(importlib.util.find_spec('torch'))\n"
        "try:\n    import torch\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    done = python(
        f"import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n{code}",
        tmp_path,
    )
    assert done.stdout.splitlines() == ["None", "No module named 'torch'"]
    assert done.stderr == ""


def test_a_torch_that_fails_to_import_fails_as_it_does(tmp_path: Path) -> None:
    """And may be tried again."""
    _false_torch(tmp_path, "raise OSError('no libcudart')\n")
    code = (
        "for _ in range(2):\n    try:\n        import torch\n"
        "    except OSError as error:\n        print(error)"
    )
    done = python(code, tmp_path / "study", PYTHONPATH=str(tmp_path))
    assert done.stdout == "no libcudart\n" * 2
    assert done.stderr == ""


def test_a_perfkit_of_the_users_is_left_alone(tmp_path: Path) -> None:
    """Ours is found only where nobody else's is; then nothing is recorded, and that is said."""
    (tmp_path / "perfkit.py").write_text("name = 'theirs'\n")
    _false_torch(tmp_path)
    code = "import torch, perfkit; print(perfkit.name)"
    done = python(code, tmp_path / "study", PYTHONPATH=str(tmp_path))
    assert done.stdout == "theirs\n"
    assert done.stderr.startswith("perfkit: nothing is recorded")
