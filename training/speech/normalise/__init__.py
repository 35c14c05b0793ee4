"""Normalisation turns written text into its spoken form (paper Figure 16)."""
