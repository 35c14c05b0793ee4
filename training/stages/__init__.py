"""The training stages, their losses and the loop that runs them (paper §3.3)."""
