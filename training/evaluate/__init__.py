"""Benchmarks: every one drives the runtime's own session."""
