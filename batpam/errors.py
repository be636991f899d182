"""Errors that a user can mend or a ledger can hold."""


class UserError(Exception):
    """A mistake in the input, the settings or the surroundings: one line that names the thing and the mend."""


class AudioError(Exception):
    """A file cannot be read as audio; the message is for the ledger."""
