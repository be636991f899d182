"""Recordings: reading audio, what headers tell, the index and the ledger."""
