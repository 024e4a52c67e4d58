"""What a reader must know of a script that was watched besides its numbers. Pure."""

from __future__ import annotations

from perfkit.document import Note
from perfkit.study.attached.loop import Loop
from perfkit.study.attached.passes import NO_LOADER
from perfkit.study.attached.read import Recorded
from perfkit.study.attached.settings import SETTINGS


def notes_of(recorded: Recorded, loop: Loop) -> list[Note]:
    """Return the notes of a process: what its epochs are, what could not be seen, how it ended."""
    found = []
    if loop.epochs_seen < 2:
        seen = len(loop.steps)
        whole = loop.main.batches
        of = f" of {whole}" if whole and whole > seen else ""
        text = (
            f"no second epoch was seen to begin: an epoch is here what was seen of the first, {seen}{of}"
            " steps, with caches that were cold and a queue that filled in it"
        )
        if loop.main.number == NO_LOADER:
            text = f"there is no loader that tells epochs apart: an epoch is here what was seen, {seen} steps"
        found.append(Note(code="first_epoch", text=text))
    elif not loop.later:
        text = "later epochs had too few steps: those of the first one are among what was measured"
        found.append(Note(code="few_steps", text=text))
    for fact in recorded.told("fact"):
        # settings are findings
        if fact.get("code") and fact.get("text") and fact["code"] not in SETTINGS:
            found.append(Note(code=str(fact["code"]), text=str(fact["text"])))
    for fault in recorded.told("fault"):
        text = f"recording went off: {fault.get('text') or 'no reason was given'}"
        found.append(Note(code="recording_failed", text=text))
    place = loop.widest
    if place.own:
        text = (
            f"{place.where or 'the training'} goes over {place.dataset}, which is no DataLoader: one with"
            " workers would make batches beside the training"
        )
        found.append(Note(code="no_dataloader", text=text))
    if recorded.exception:
        text = f"the script ended with {recorded.exception}"
        found.append(Note(code="script_failed", text=text))
    return found
