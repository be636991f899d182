"""Names: how far a call can be named, from a species up to no more than "Chiroptera"."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from batpam.errors import UserError
from batpam.models.files import Taxon
from batpam.models.taxonomy import ANY_BAT, RANKS


@dataclass(frozen=True)
class Node:
    """What a call can be named to: a node of the tree of species, groups and families.

    Attributes
    ----------
    name
        As the tables give it, unlike that of every other node.
    rank
        One of :data:`RANKS`.
    group
        Group of a species; of anything else its own name.
    classes
        Numbers of the model's classes below it.
    called
        Every name that stands for it in a setting.
    """

    name: str
    rank: str
    group: str
    classes: tuple[int, ...]
    called: tuple[str, ...]


def nodes_of(taxa: Sequence[Taxon]) -> list[Node]:
    """Nodes of a model: species in the order of its classes, then groups, then families, last "Chiroptera".

    A group of one species, or a family of one group, says no more than what it is made of and is no node of its own. A
    name that a lower rank has taken is given its rank: ``Molossidae (family)``.

    Examples
    --------
    >>> greater = Taxon("Rfer", "Rhinolophus ferrumequinum", "", "Rhinolophus", "Rhinolophidae")
    >>> lesser = Taxon("Rhip", "Rhinolophus hipposideros", "", "Rhinolophus", "Rhinolophidae")
    >>> bent_wing = Taxon("Msch", "Miniopterus schreibersii", "", "Miniopterus", "Miniopteridae")
    >>> [node.name for node in nodes_of([greater, lesser, bent_wing])][2:]
    ['Miniopterus schreibersii', 'Rhinolophus', 'Chiroptera']
    """
    classes: dict[tuple[str, str], list[int]] = {}
    for rank in RANKS[:-1]:
        for number, taxon in enumerate(taxa):
            classes.setdefault((rank, getattr(taxon, rank)), []).append(number)
    nodes: dict[tuple[int, ...], Node] = {}
    for (rank, name), numbers in classes.items():
        below = tuple(numbers)
        if below in nodes:
            nodes[below] = replace(nodes[below], called=(*nodes[below].called, name))
            continue
        taken = name == ANY_BAT or any(node.name == name for node in nodes.values())
        unlike = f"{name} ({rank})" if taken else name
        species = rank == "species"
        codes = [taxa[number].code for number in numbers] if species else []
        group = taxa[numbers[0]].group if species else unlike
        nodes[below] = Node(unlike, rank, group, below, tuple(dict.fromkeys((name, unlike, *codes))))
    return [*nodes.values(), Node(ANY_BAT, "order", ANY_BAT, tuple(range(len(taxa))), ())]


def needed_scores(nodes: Sequence[Node], min_taxon_score: float, thresholds: Mapping[str, float]) -> list[float]:
    """Probability from which a call is named to each node; the last, "Chiroptera", needs none.

    Parameters
    ----------
    min_taxon_score
        What a node needs that ``thresholds`` does not name.
    thresholds
        By species (scientific name or code), group or family. A name that stands for a group and for a family is meant
        for both.

    Raises
    ------
    UserError
        A name is not known, or two names of one node have two values.
    """
    known = {name: None for node in nodes for name in node.called}
    for name in thresholds:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            mend = f"did you mean {near[0]!r}?" if near else "its card lists them"
            if name == ANY_BAT:
                mend = "what is not named otherwise needs activity.min_score"
            raise UserError(f"activity.thresholds: {name!r} is no species, code, group or family of the model; {mend}")
    needed = []
    for node in nodes[:-1]:
        given = {name: thresholds[name] for name in node.called if name in thresholds}
        if len(set(given.values())) > 1:
            raise UserError(f"activity.thresholds: {' and '.join(map(repr, given))} are the same and have two values")
        needed.append(next(iter(given.values()), min_taxon_score))
    return [*needed, 0.0]


def name_calls(
    detections: pd.DataFrame, taxa: Sequence[Taxon], *, min_taxon_score: float, thresholds: Mapping[str, float]
) -> pd.DataFrame:
    """Give every call a taxon: the lowest node that is likely enough, "Chiroptera" where none is.

    The probability of a node is the sum of the scores of the species below it. Where several of a rank are likely
    enough, it is the likeliest, and of equals the one that comes first in the model.

    Parameters
    ----------
    detections
        Of the schema DETECTIONS with ``score_CODE`` per species.
    min_taxon_score, thresholds
        See :func:`needed_scores`.

    Returns
    -------
    DataFrame
        The detections with ``taxon``, ``group`` and ``rank`` (one of :data:`RANKS`).
    """
    nodes = nodes_of(taxa)
    needed = needed_scores(nodes, min_taxon_score, thresholds)
    scores = [detections[f"score_{taxon.code}"].to_numpy(float) for taxon in taxa]
    best = np.full(len(detections), len(nodes) - 1)
    for rank in reversed(RANKS[:-1]):
        highest = np.full(len(detections), -1.0)
        for number, node in enumerate(nodes):
            if node.rank == rank:
                # one after the other: a matrix product rounds by how many rows there are
                probability = sum(scores[at] for at in node.classes)
                better = (probability >= needed[number]) & (probability > highest)
                best[better], highest[better] = number, probability[better]
    return detections.assign(**names_at(nodes, best))


def names_at(nodes: Sequence[Node], numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Columns ``taxon``, ``group`` and ``rank`` of calls named to the nodes of these numbers."""
    columns = {"taxon": "name", "group": "group", "rank": "rank"}
    return {to: np.array([getattr(node, of) for node in nodes], object)[numbers] for to, of in columns.items()}
