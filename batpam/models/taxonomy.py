"""The tree of what a sound may be: species, their groups, families and "Chiroptera"; beside them insect and noise."""

from collections.abc import Sequence

import numpy as np

from batpam.models.files import Taxon
from batpam.tables import NO_BAT

ANY_BAT = "Chiroptera"

RANKS = ("species", "group", "family", "order")
"""From what says most to what says least; of the order there is no more than :data:`ANY_BAT`."""


def nodes(taxa: Sequence[Taxon]) -> dict[str, tuple[int, ...]]:
    """Classes below every node, by name: species first, then insect and noise, groups, families and any bat.

    Classes are numbered as the network's outputs are: the species in their order, then :data:`~batpam.tables.NO_BAT`.
    Where a node has the name of a finer one (a group of one species), it is that one.

    Examples
    --------
    >>> taxa = [Taxon("Ppip", "P. pipistrellus", "", "Pipistrellus", "Vespertilionidae"),
    ...         Taxon("Ppyg", "P. pygmaeus", "", "Pipistrellus", "Vespertilionidae")]
    >>> nodes(taxa)["Pipistrellus"], nodes(taxa)["insect"]
    ((0, 1), (2,))
    """
    tree: dict[str, tuple[int, ...]] = {taxon.species: (i,) for i, taxon in enumerate(taxa)}
    tree |= {name: (len(taxa) + i,) for i, name in enumerate(NO_BAT)}
    for rank in RANKS[1:-1]:
        below: dict[str, list[int]] = {}
        for i, taxon in enumerate(taxa):
            below.setdefault(getattr(taxon, rank), []).append(i)
        for name, members in below.items():
            tree.setdefault(name, tuple(members))
    tree.setdefault(ANY_BAT, tuple(range(len(taxa))))
    return tree


def membership(taxa: Sequence[Taxon]) -> np.ndarray:
    """Which class lies below which node, bool of shape (nodes, classes), in the order of :func:`nodes`."""
    tree = nodes(taxa)
    table = np.zeros((len(tree), len(taxa) + len(NO_BAT)), bool)
    for row, members in enumerate(tree.values()):
        table[row, list(members)] = True
    return table
