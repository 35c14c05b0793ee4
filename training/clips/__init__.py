"""Recordings and renders, ready to mix: manifests, the clip store, and what is said about each category."""
