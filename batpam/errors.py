"""Errors that a user can mend or a ledger can hold, and names of files as a message can show them."""

import os


class UserError(Exception):
    """A mistake in the input, the settings or the surroundings: one line that names the thing and the mend."""


class AudioError(Exception):
    """A file cannot be read as audio; the message is for the ledger."""


def printable(name: str | os.PathLike[str]) -> str:
    r"""A name on one line, without what a terminal would act upon.

    Examples
    --------
    >>> printable("night\n1\x1b[2J ü.wav")
    'night\\n1\\x1b[2J ü.wav'
    """
    text = os.fspath(name)
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
