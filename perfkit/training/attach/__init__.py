"""The recorder inside a training script that knows nothing of it: hooks in torch, and what they tell."""
