"""Annotations that others made: one module per format, all into one table of labelled stretches."""
