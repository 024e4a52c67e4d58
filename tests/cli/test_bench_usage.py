"""What cannot be done is told before anything is measured: message, hint, exit code 2, no traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from bench_process import PLUGINS, bench
from own_settings import declared

from perfkit.cli.main import main
from perfkit.study import start

MACHINE = {"device": "cpu", "environment": {"cores_usable": 2}, "settings": declared()}
TINY = ("--arch", "tiny")
Told = tuple[object, str]


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run perfkit up to its first error, on a machine that is only said to be there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    monkeypatch.setattr(start, "survey", lambda device, archs=(), child=None: MACHINE)

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("it went on to make data")

    monkeypatch.setattr(start, "prepare", forbidden)

    def run(*arguments: str) -> Told:
        monkeypatch.setattr(sys, "argv", ["perfkit", *arguments])
        with pytest.raises(SystemExit) as leave:
            main()
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        assert not (tmp_path / ".perfkit").exists(), "no study is left behind"
        return leave.value.code, said.err

    return run


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--arch", "convnet"], "unknown workload 'convnet'", "did you mean convnext"),
        (["--arch", "nowhere.py:make"], "there is no file nowhere.py", "FILE.py|file.py"),
        ([*TINY, "--variant", "fp61"], "unknown variant 'fp61'", "did you mean fp32|one of"),
        ([*TINY, "--variant", "bf16+amp"], "bf16 and amp are both precisions", "two rows"),
        ([*TINY, "--variant", "amp+tf32"], "amp and tf32 are both precisions", "two rows"),
        ([*TINY, "--variant", "num_workers"], "num_workers needs a value", "num_workers=N"),
        ([*TINY, "--variant", "num_workers=-2"], "at least 0", "num_workers="),
        ([*TINY, "--variant", "amp=1"], "amp takes no value", ""),
        ([*TINY, "--variant", "amp+"], "names no variant", ""),
        ([*TINY, "--variant", "pin_memory=2"], "should be 0 or 1", ""),
        ([*TINY, "--compile-mode", "fast"], "should be one of", ""),
        ([*TINY, "--sweep", "num_workers"], "names no values", "num_workers=V1,V2"),
        ([*TINY, "--sweep", "amp=1"], "takes no value to sweep", "--variant amp"),
        ([*TINY, "--base-channels", "8"], "tiny has no setting base_channels", "it has none"),
        ([*TINY, "--data", "memory"], "tiny has no setting data", "it has none"),
        ([*TINY, "--set", "width=8"], "tiny has no setting width", "SETTINGS in its file"),
        ([*TINY, "--sweep", "width=8,16"], "tiny has no setting width", ""),
        (["--set", "num_block=3"], "convnext has no setting num_block", "did you mean num_blocks"),
        (["--num-blocks", "0"], "convnext: num_blocks is 0: it should be at least 1", "Blocks per"),
        (["--variant", "num_blocks=0"], "num_blocks is 0: it should be at least 1", ""),
        (["--image-size", "15"], "image_size is 15: it should be at least 16", "pixels"),
        (["--set", "num_blocks"], "--set num_blocks: it should be NAME=VALUE", ""),
        (["--set", "num_blocks=3", "--num-blocks", "2"], "num_blocks is set twice", ""),
        (["--preset", "tale"], "unknown preset 'tale'", "story"),
        ([*TINY, "--batch-size", "-1"], "--batch-size is -1: it should be at least 1", ""),
        ([*TINY, "--batch-size", "many"], "--batch-size is 'many'", ""),
        ([*TINY, "--num-workers", "-1"], "--num-workers is -1", ""),
        ([*TINY, "--num-workers", "two"], "Invalid value for '--num-workers'", "--help"),
        ([*TINY, "--threads", "0"], "--threads is 0", ""),
        ([*TINY, "--learning-rate", "nan"], "--learning-rate is nan", ""),
        ([*TINY, "--memory-limit", "much"], "'much' is no size", "8GiB"),
        ([*TINY, "--time-budget", "0"], "--time-budget is 0: it should be at least 1", ""),
        ([*TINY, "--time-budget", "nan"], "--time-budget is nan", ""),
        ([*TINY, "--time-budget", "inf"], "--time-budget is inf", ""),
        ([*TINY, "--timeout", "-5"], "--timeout is -5", ""),
        ([*TINY, "--generations", "0"], "--generations is 0", ""),
        ([*TINY, "--steps", "0"], "--steps is 0", ""),
        ([*TINY, "--seed", "-1"], "--seed is -1", ""),
        ([*TINY, "--json", "no/such/out.json"], "--json no/such/out.json", ""),
        ([*TINY, "--json", "."], "--json .", ""),
        (["--resume", "latest"], "there is no study", "perfkit bench"),
        (["--resume", "elsewhere"], "there is no study elsewhere", "latest"),
        (["--resume", "latest", "--amp"], "--resume goes on with the rows", "--time-budget"),
        (["--resume", "latest", "--num-workers", "2"], "--resume goes on", "--time-budget"),
        (["--arch"], "requires an argument", "--help"),
        ([*TINY, "--json"], "requires an argument", "--help"),
        (["--sweeps", "num_workers=1"], "No such option", "--help"),
        (["extra"], "unexpected extra argument", "--help"),
    ],
)  # fmt: skip
def test_bad_input(told: Any, arguments: list[str], message: str, hint: str) -> None:
    """What was asked, what is wrong with it, and what to do, on stderr; exit code 2."""
    code, err = told("bench", *arguments)
    assert code == 2
    first, *rest = err.splitlines()
    assert first.startswith("error: ") and message in first
    if hint:
        assert len(rest) == 1 and rest[0].startswith("hint: ")
        assert any(one in rest[0] for one in hint.split("|"))


def test_a_command_that_does_not_exist(told: Any) -> None:
    """The nearest one is named."""
    code, err = told("bnch")
    assert code == 2
    assert "bench" in err and err.startswith("error: ")


def test_a_plugin_folder_that_is_not_there(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PERFKIT_PATH of nowhere is told, not passed over."""
    monkeypatch.setenv("PERFKIT_PATH", "/nowhere/at/all")
    code, err = told("bench", "--arch", "mine")
    assert code == 2
    assert "/nowhere/at/all" in err


@pytest.mark.parametrize("device", ["warp", "cuda:99", "cpu:x"])
def test_an_unknown_device(tmp_path: Path, device: str) -> None:
    """Torch is asked in a process of its own, and the hint says what there is."""
    code, out, err = bench(tmp_path, "--arch", "tiny", "--device", device)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: --device {device}") and "hint: " in err
    assert "Traceback" not in err
    assert not (tmp_path / ".perfkit").exists()
