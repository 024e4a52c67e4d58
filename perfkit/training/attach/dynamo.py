"""What torch.compile is told of us."""

from __future__ import annotations

from typing import Any


def skip_in_dynamo(function: Any) -> None:
    """Have torch.compile not look into a function that it meets in a frame of its own."""
    try:
        from torch._C._dynamo import eval_frame

        strategy = eval_frame._FrameExecStrategy(
            eval_frame._FrameAction.SKIP, eval_frame._FrameAction.DEFAULT
        )
        eval_frame.set_code_exec_strategy(function.__code__, strategy)
    except (ImportError, AttributeError, TypeError):
        pass
