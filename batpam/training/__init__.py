"""Training data, fitting and metrics of the network."""
