"""What a script does inside of its optimizer's step is no update."""

from __future__ import annotations

from pathlib import Path

import pytest
from attached_folders import Script, answer, epochs

from perfkit.document import Document


def hooked(study: Path, function: str, seconds: float) -> Document:
    """Of 90 steps of 20 ms, 12 of them in the optimizer's step."""
    script = epochs(Script(), 3, backward_s=0.004, forward_s=0.003, optimizer_s=0.012)
    script.event(
        "update_stack", where="hooks.py:7", function=function, seconds=90 * seconds, in_steps=45, of_steps=90,
    )  # fmt: skip
    return answer(study, script)


def test_a_callback_in_the_optimizer_s_step_is_work_of_every_step(tmp_path: Path) -> None:
    """Of Lightning's; named, and taken out of the update, so that no faster optimizer is advised for it."""
    document = hooked(tmp_path, "on_before_optimizer_step", 0.01)
    (row,), found = document.rows, document.diagnosis
    assert found is not None and found.primary == "periodic_bound"
    assert row.phases_s["optimizer"] == pytest.approx(0.002)
    name = "on_before_optimizer_step (hooks.py:7)"
    assert row.epoch_parts_s[name] == pytest.approx(0.01 * 30)
    advised = {one.name: one for one in found.remedies}
    assert advised["periodic_every"].snippet.startswith(f"# {name}\n")


@pytest.mark.parametrize(
    ("function", "seconds"),
    [("<library>", 0.01), ("on_before_optimizer_step", 0.0019)],
)
def test_the_update_itself_and_little_else_are_left_in_it(
    tmp_path: Path, function: str, seconds: float
) -> None:
    """A tenth of a step is much."""
    (row,) = hooked(tmp_path, function, seconds).rows
    assert row.phases_s["optimizer"] == pytest.approx(0.012)
