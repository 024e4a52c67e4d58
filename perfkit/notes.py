"""The codes of notes and warnings: a closed list, with what each of them means.

A code is stable and for programs; a note's text is for readers and says the figures. A gate of
`perfkit compare --fail-on` is its own code, as the user wrote it, and is not in this list.
"""

from __future__ import annotations

from collections.abc import Mapping

NOTES: Mapping[str, str] = {
    # of a row
    "disturbed": "Somebody else's processes ran beside it.",
    "throttled": "The GPU slowed itself down.",
    "unsteady": "Halves of its blocks disagreed, even after they were extended.",
    "sequential": "Its processes ran one after another, not in turns side by side.",
    "emulated_bf16": "The CPU has no instructions for bfloat16.",
    "part_lost": "A part of what was to be measured failed; the row keeps the rest.",
    "full_epoch": "How its real epochs compare with the forecast.",
    "loss_differs": "Its losses are further from FP32's than rounding explains.",
    "read_back_differs": "What torch tells of its settings is not the same in both runs.",
    # of a watched script
    "first_epoch": "Only a first epoch was seen, so there is no forecast of later ones.",
    "few_steps": "Later epochs had too few steps, so those of the first one are counted, too.",
    "no_dataloader": "Its batches came from something other than a DataLoader.",
    "no_loader": "No batch came from a loader: an update, else a backward, is a step.",
    "other_thread": "Another thread fetches the batches, so waits for them are not seen.",
    "threads_at_once": "Two of its threads trained at a time, and one alone was followed.",
    "no_updates_seen": "No optimizer's update was seen.",
    "compiled_optimizer": "Updates are compiled into the graph and cannot be seen.",
    "recording_failed": "Recording stopped before the script did.",
    "script_failed": "The script ended with an exception.",
    "slowest_rank": "Ranks differ, and this one is the slowest.",
    "nothing_trained": "No training was seen.",
    # of a study
    "too_few_generations": "Fewer generations were measured than an interval needs.",
    "nothing_to_verify": "No remedy could be run here.",
    "interrupted": "The study was interrupted.",
    "epoch_incomplete": "A part of the epoch was lost, so its breakdown lacks it.",
    "more_workers_than_cores": "More loader workers than cores were asked for.",
    "setting_ignored": "A setting has no effect here.",
    "preset_changed": "What of a preset was fitted to this machine.",
    # of a comparison
    "other_environment": "The two runs ran in different environments.",
    "other_settings": "The two runs had different settings.",
    "not_complete": "One of the two runs was interrupted.",
}
