"""Starting and stopping the sampler. A study without telemetry is still a study: nothing here raises."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import perfkit
from perfkit.errors import EXIT_FAILED

INTERVAL_S = 0.2
STOP_TIMEOUT_S = 2.0


class Sampler:
    """The sampler child of one study, as a context manager.

    Start it from a thread that lives as long as it should: Linux ends it with that thread.

    Args:
        folder: an existing folder; samples and the child's log go there.
        gpu_uuids: the GPUs to sample; none samples the host alone.
        interval_s: seconds between samples.
    """

    def __init__(
        self, folder: Path, gpu_uuids: Sequence[str] = (), *, interval_s: float = INTERVAL_S
    ) -> None:
        self.folder = folder.resolve()
        self.path = self.folder / "samples.jsonl"
        """Where the samples are. Every start has a file of its own: clocks restart with the machine."""
        self.unavailable: str | None = None
        """Why there are no samples, or none any more; None when all is well."""
        self._gpu_uuids = tuple(gpu_uuids)
        self._interval_s = interval_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the child printed."""
        return self.path.with_suffix(".log")

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the child; when that fails, `unavailable` says why."""
        if self._process is not None:
            return
        number = 1
        while os.path.exists(self.path):
            number += 1
            self.path = self.folder / f"samples-{number}.jsonl"
        command = [sys.executable, "-m", "perfkit.telemetry.sampler", "--out", str(self.path)]
        command += ["--interval", str(self._interval_s)]
        for uuid in self._gpu_uuids:
            command += ["--gpu-uuid", uuid]
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    close_fds=True,
                    # the folder is ours: no stranger's json.py lies in it, as it may where the user stands
                    cwd=self.folder,
                    env=_environment(),
                )
        except (OSError, ValueError) as error:
            self.unavailable = f"the sampler did not start: {error}"

    def stop(self) -> None:
        """End the child and wait for it; when it had ended before, or lost samples, `unavailable` says so."""
        process, self._process = self._process, None
        if process is None:
            return
        early = process.poll()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            # a driver call that never returns may keep it even past a kill: it is not waited for then
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
        if early is not None:
            self.unavailable = f"the sampler ended by itself with code {early}: see {self.log}"
        elif process.returncode == EXIT_FAILED:
            self.unavailable = f"the sampler could not write every sample: see {self.log}"

    def __enter__(self) -> Sampler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _environment() -> dict[str, str]:
    """The child's environment: it must find the same perfkit, also when that is a source folder."""
    environment = dict(os.environ)
    source = Path(perfkit.__file__).resolve().parent.parent
    if not {"site-packages", "dist-packages"} & set(source.parts):
        paths = [str(source), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
