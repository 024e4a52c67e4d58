"""perfkit: why a PyTorch training is slow, what would make it faster, by how much, and how sure."""

__version__ = "0.1.0"
