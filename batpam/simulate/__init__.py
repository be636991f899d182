"""Simulated recordings of known truth: calls, propagation, soundscapes and whole surveys."""
