"""Continuous wavelet scalograms: the transform and the HDF5 shards that hold it."""
