"""How well a checkpoint hears: every evaluation drives the runtime's own session."""


class EvaluationError(ValueError):
    """An `EvaluationError` says in one sentence why nothing can be evaluated."""
