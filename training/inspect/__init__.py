"""What happens inside a checkpoint while it listens (paper §5.3)."""


class InspectionError(ValueError):
    """Nothing can be inspected, in one sentence."""
