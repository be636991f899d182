"""What recorders write down about a recording: one module per format, each gives :class:`batpam.recordings.facts.Facts`."""
