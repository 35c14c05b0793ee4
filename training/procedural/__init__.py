"""Unlimited procedural sounds with randomised physics, by domain: hazards to answer, ordinary sounds to leave alone."""
