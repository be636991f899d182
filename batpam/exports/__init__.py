"""Exports to formats of others, one module each."""
