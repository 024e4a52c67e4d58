"""What a user asked of run."""

from __future__ import annotations

from dataclasses import dataclass

from perfkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A command, and for how long it is watched."""

    command: tuple[str, ...]
    steps: int | None = None
    """Steps after which the answer is given; None watches to the end."""
    seconds: float | None = None
    """Seconds after which it is given."""
    stop: bool = False
    """Whether the script is ended then."""

    def __post_init__(self) -> None:
        if not self.command:
            raise UsageError(
                "there is no command to run", hint="for example: perfkit run -- python train.py"
            )
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"is {self.steps}: it should be at least 1", field="--steps")
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            problem = f"is {self.seconds:g}: it should be above 0, and finite"
            raise UsageError(problem, field="--seconds")
        if self.stop and (self.steps is None) == (self.seconds is None):
            raise UsageError(
                "takes one of --steps and --seconds, to say when",
                field="--stop",
                hint="for example: perfkit run --steps 500 --stop -- python train.py",
            )

    @property
    def variables(self) -> dict[str, str]:
        """What the environment of the command says besides: when its training is to end itself."""
        if not self.stop:
            return {}
        when = f"steps:{self.steps}" if self.steps is not None else f"seconds:{self.seconds:g}"
        return {"PERFKIT_STOP": when}
