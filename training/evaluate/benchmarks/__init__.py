"""Public benchmarks that a checkpoint is compared with others by: each read and scored as its publisher does it."""
