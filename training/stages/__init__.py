"""The training stages, their losses and the loop that runs them (paper §3.3)."""


class TrainingError(RuntimeError):
    """Training cannot start or go on, in one sentence."""
