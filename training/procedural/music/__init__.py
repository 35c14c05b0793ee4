"""Instruments and tones."""
