"""Everything that runs inside a training process. Torch lives here only."""
