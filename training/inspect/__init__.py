"""What happens inside a checkpoint while it listens (paper §5.3)."""


class InspectionError(ValueError):
    """An `InspectionError` says in one sentence why nothing can be inspected."""
