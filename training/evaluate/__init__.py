"""How well a checkpoint hears: every evaluation drives the runtime's own session."""


class EvaluationError(ValueError):
    """Nothing can be evaluated, in one sentence."""
