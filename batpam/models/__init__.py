"""The network and the files that hold its weights."""
