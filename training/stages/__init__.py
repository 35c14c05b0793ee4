"""The training stages, their losses and the loop that runs them (paper §3.3)."""


class TrainingError(RuntimeError):
    """A `TrainingError` says in one sentence why training cannot start or go on."""
