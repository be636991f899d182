"""Detection: scalograms and a model in, calls out."""
