"""What labels stand for: the nodes of the tree species - group - family - Chiroptera, and besides, insect and noise.

The lowest node that is certain is taken: a species that the model does not have becomes its group, a label of several
species what they have in common.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files

from batpam.errors import UserError
from batpam.models.files import Taxon
from batpam.models.taxonomy import ANY_BAT
from batpam.tables import NO_BAT
from batpam.training.annotations.rows import shown

INSECT, NOISE = NO_BAT

LONGEST = 200
"""A label of more characters is none."""

_APOSTROPHES = str.maketrans("", "", "'’‘`´ʼ\"")
_TO_BLANK = re.compile(r"[\s_.,:;\-–—+&]+")
_BRACKETS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")
_EITHER = re.compile(r"\s*(?:/|\||\\|\bor\b)\s*", re.IGNORECASE)
_SEVERAL = re.compile(r"\s*(?:;|\+|&|,|\band\b)\s*", re.IGNORECASE)

_BUZZ = frozenset({"buzz", "buzzes", "buzzing", "feeding", "feed"})
_SOCIAL = frozenset({"social", "socials", "song", "advertisement"})
_ECHOLOCATION = frozenset({"echolocation", "echolocating", "echolo", "echo", "search", "approach", "phase"})
_CALL = frozenset({"call", "calls", "pass", "passes", "sequence", "type"})
_VAGUE = frozenset(
    {"sp", "spp", "species", "indet", "unidentified", "undetermined", "unspecified", "unknown", "unid", "genus", "group",
     "complex", "agg", "aggregate"}
)  # fmt: skip
_BAT = frozenset({"bat", "bats"})


@dataclass(frozen=True)
class _Known:
    """All labels that are known, compared as :func:`_plain` gives them, the nodes that they stand for, and the tree."""

    nodes: Mapping[str, str]
    spellings: Mapping[str, str]
    paths: Mapping[str, tuple[str, ...]]


def resolve_label(label: str, taxa: Sequence[Taxon], names: Mapping[str, str] | None = None) -> str:
    """Tell what a label stands for.

    Parameters
    ----------
    label
        Text as written: a code, a scientific or English name, a genus, a group, several of them with a slash.
    taxa
        Species of the model.
    names
        The user's own: label and what it stands for; goes first. "" stands for nothing.

    Returns
    -------
    str
        Scientific name of a species of ``taxa``, a group, a family, "Chiroptera", "insect" or "noise"; "" where the
        label fits nothing.

    Raises
    ------
    UserError
        The user's own names lead to nothing.

    Examples
    --------
    >>> pip = Taxon("Ppip", "Pipistrellus pipistrellus", "Common pipistrelle", "Pipistrellus", "Vespertilionidae")
    >>> pyg = Taxon("Ppyg", "Pipistrellus pygmaeus", "Soprano pipistrelle", "Pipistrellus", "Vespertilionidae")
    >>> [resolve_label(label, [pip, pyg]) for label in ("PIPPYG", "45 pip", "Ppip/Ppyg", "Nnoc", "Leppun", "Mist")]
    ['Pipistrellus pygmaeus', 'Pipistrellus pipistrellus', 'Pipistrellus', 'Vespertilionidae', 'insect', '']
    """
    known = _known(tuple(taxa))
    own = _own(label, names)
    if own is None:
        return _resolve(label, known)
    node = _resolve(own, known)
    if own.strip() and not node:
        raise UserError(
            f"names: {shown(own)}, for which {shown(label)} is to stand, fits no taxon; use one of the model"
        )
    return node


def is_ignored(label: str, names: Mapping[str, str] | None) -> bool:
    """Whether the user says that a label stands for nothing."""
    return _own(label, names) == ""


def call_type_of(text: str) -> str:
    """Tell the type of call that a label or a column of its own names: "echolocation", "buzz", "social", "echo" or "".

    "echo" alone, as batpam writes it, is an echo; beside other words it is short for echolocation.

    Examples
    --------
    >>> call_type_of("Ppip feeding buzz"), call_type_of("echolo"), call_type_of("echo"), call_type_of("Ppip")
    ('buzz', 'echolocation', 'echo', '')
    """
    words = set(_plain(re.sub(r"[()\[\]]", " ", text)).split())
    if words == {"echo"} or "echoes" in words:
        return "echo"
    if words & _BUZZ:
        return "buzz"
    if words & _SOCIAL:
        return "social"
    return "echolocation" if words & _ECHOLOCATION else ""


def split_label(label: str, taxa: Sequence[Taxon], names: Mapping[str, str] | None = None) -> list[str]:
    """Part a label that names several animals at once, "Ppip; Ppyg" or "Ppip + Nnoc"; a slash means either.

    Only where the whole stands for nothing and each part for something.
    """
    if _own(label, names) is not None or len(label) > LONGEST or resolve_label(label, taxa, names):
        return [label]
    parts = [part for part in _SEVERAL.split(label) if part]
    if len(parts) > 1 and all(resolve_label(part, taxa, names) for part in parts):
        return list(dict.fromkeys(parts))
    return [label]


def nearest_label(label: str, taxa: Sequence[Taxon]) -> str:
    """The known label that is most like an unknown one; "" where none is."""
    known = _known(tuple(taxa))
    close = get_close_matches(_plain(label), known.spellings, 1, 0.75) if 2 < len(label) <= 60 else []
    return known.spellings[close[0]] if close else ""


def _own(label: str, names: Mapping[str, str] | None) -> str | None:
    """What the user's own names say; None where nothing."""
    if not names:
        return None
    if label in names:
        return names[label]
    plain = _plain(label)
    return next((meaning for name, meaning in names.items() if _plain(name) == plain), None)


def _plain(text: str) -> str:
    """A label as it is compared: small letters, no apostrophes, one blank for what parts words."""
    text = unicodedata.normalize("NFKC", text[: LONGEST + 1]).casefold().translate(_APOSTROPHES)
    return _TO_BLANK.sub(" ", text).strip()


def _resolve(label: str, known: _Known) -> str:
    if len(label) > LONGEST:
        return ""
    whole = known.nodes.get(_plain(label))
    if whole is not None:
        return whole
    if any(mark in label for mark in "([") and _BRACKETS.search(label):
        outside, inside = _BRACKETS.sub(" ", label), _BRACKETS.findall(label)[0]
        return _resolve(outside, known) or (_resolve(inside, known) if not outside.strip() else "")
    parts = _EITHER.split(label)
    if len(parts) > 1:
        return _either(parts, known)
    return _without_extras(_plain(label), known)


def _either(parts: Sequence[str], known: _Known) -> str:
    """What "Myotis mystacinus/brandtii", "Mmys/bra" or "Plecotus auritus/sp." have in common."""
    first = _plain(parts[0]).split()
    nodes = []
    for number, part in enumerate(parts):
        words = _plain(part).split()
        fuller = []
        if number and first and len(words) == 1:
            if words[0] in _VAGUE:
                fuller = [first[0]]
            elif len(first) > 1:
                fuller = [f"{first[0]} {words[0]}"]
            elif len(words[0]) == 3:
                fuller = [first[0][0] + words[0], first[0][:3] + words[0]]
        found = next(filter(None, (_resolve(text, known) for text in [part, *fuller])), "")
        if not found:
            return ""
        nodes.append(found)
    return _common(nodes, known)


def _without_extras(plain: str, known: _Known) -> str:
    """Look a label up without the type of call, then without words like "sp." and "bat"."""
    words = plain.split()
    rest = [word for word in words if word not in _BUZZ | _SOCIAL | _ECHOLOCATION | _CALL]
    bare = [word for word in rest if word not in _VAGUE]
    no_bat = [word for word in bare if word not in _BAT]
    for text in (" ".join(rest), " ".join(bare), " ".join(no_bat)):
        if text in known.nodes:
            return known.nodes[text]
    says_bat = set(words) & (_BAT | _BUZZ | {"social", "socials", "echolocation", "echolocating", "echolo"})
    return ANY_BAT if words and not no_bat and says_bat else ""


def _common(nodes: Iterable[str], known: _Known) -> str:
    paths = [known.paths.get(node, (node,)) for node in nodes]
    if not paths:
        return ""
    return next((node for node in paths[0] if all(node in path for path in paths)), "")


@lru_cache(maxsize=8)
def _known(taxa: tuple[Taxon, ...]) -> _Known:
    paths = _paths(taxa)
    tree = _Known({}, {}, paths)
    lines = _lines()
    genera = _genera(taxa, lines, tree)

    def node_of(means: str) -> str:
        return _node_of(means, genera, tree, by_species)

    by_species = {line["means"]: line for line in lines if line["family"]}
    own: list[tuple[str, str]] = []
    listed, genus_labels, codes, short_codes = own.copy(), own.copy(), own.copy(), own.copy()
    for taxon in taxa:
        own += [(text, taxon.species) for text in (taxon.code, taxon.species, taxon.english)]
    own += [(node, node) for node in paths]
    for line in lines:
        labels = [label for label in line["labels"].split("; ") if label]
        listed += [(label, line["means"]) for label in [line["means"], *labels]]
        if line["means"] in (INSECT, NOISE):
            for species in (label for label in labels if _is_binomial(label)):
                codes.append((_six(species), line["means"]))
                genus_labels.append((species.split()[0], line["means"]))
    for species in {**dict.fromkeys(taxon.species for taxon in taxa), **by_species}:
        genus, _, epithet = species.partition(" ")
        codes += [(_six(species), species), (genus[0] + epithet[:3], species), (f"{genus[0]} {epithet}", species)]
        short_codes.append((genus[:2] + epithet[:2], species))
    for genus in genera:
        genus_labels += [(genus, genus), (f"{genus[:3]}sp", genus), (f"{genus[:3]}spp", genus)]

    nodes: dict[str, str] = {}
    spellings: dict[str, str] = {}
    # what is written out goes before codes that follow from a name, and those of six letters before those of four
    for tier in (own, listed, genus_labels, codes, short_codes):
        found: dict[str, set[str]] = {}
        for label, means in tier:
            key = _plain(label)
            if key and key not in nodes:
                found.setdefault(key, set()).add(node_of(means))
                spellings.setdefault(key, label)
        nodes.update((key, _common(sorted(several), tree)) for key, several in found.items())
    return _Known(nodes, {key: label for key, label in spellings.items() if nodes[key]}, paths)


def _paths(taxa: Sequence[Taxon]) -> dict[str, tuple[str, ...]]:
    """The way up from each node, with itself."""
    families: dict[str, set[str]] = {}
    for taxon in taxa:
        families.setdefault(taxon.group, set()).add(taxon.family)
    paths: dict[str, tuple[str, ...]] = {ANY_BAT: (ANY_BAT,), INSECT: (INSECT,), NOISE: (NOISE,)}
    for taxon in taxa:
        family = (taxon.family, ANY_BAT) if taxon.family else (ANY_BAT,)
        if taxon.family:
            paths.setdefault(taxon.family, family)
        # a group across families has only the order above it
        group = (taxon.group, *(family if len(families[taxon.group]) == 1 else (ANY_BAT,)))
        paths.setdefault(taxon.group, tuple(dict.fromkeys(group)))
        paths[taxon.species] = tuple(dict.fromkeys((taxon.species, *paths[taxon.group])))
    return paths


def _lines() -> list[dict[str, str]]:
    text = (files("batpam.training.annotations") / "labels.tsv").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line and not line.startswith("#")]
    return list(csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE))


def _genera(taxa: Sequence[Taxon], lines: Sequence[Mapping[str, str]], tree: _Known) -> dict[str, str]:
    """Node of each genus: what the groups of its species have in common; for one that no species of is there, its family."""
    groups: dict[str, list[str]] = {}
    for taxon in taxa:
        groups.setdefault(taxon.species.split(" ")[0], []).append(taxon.group)
    genera = {genus: _common(found, tree) for genus, found in groups.items()}
    for line in lines:
        genus = line["means"].split(" ")[0]
        if line["family"] and genus not in genera:
            genera[genus] = line["family"] if line["family"] in tree.paths else ANY_BAT
    return genera


def _node_of(means: str, genera: Mapping[str, str], tree: _Known, by_species: Mapping[str, Mapping[str, str]]) -> str:
    """Lowest node for what a line means: a node, a species, a genus, or several with a slash."""
    if means in tree.paths:
        return means
    if "/" in means:
        first, *others = means.split("/")
        genus = first.split(" ")[0]
        wholes = [first, *(other if other[0].isupper() else f"{genus} {other}" for other in others)]
        return _common([_node_of(whole, genera, tree, by_species) for whole in wholes], tree)
    line = by_species.get(means)
    if line and line["group"] in tree.paths:
        return line["group"]
    return genera.get(means.split(" ")[0], ANY_BAT)


def _is_binomial(label: str) -> bool:
    genus, blank, epithet = label.partition(" ")
    return bool(blank) and genus.istitle() and epithet.isalpha() and epithet.islower() and len(genus) > 3


def _six(species: str) -> str:
    """Three letters of the genus and three of the species.

    Examples
    --------
    >>> _six("Pipistrellus pipistrellus")
    'Pippip'
    """
    genus, _, epithet = species.partition(" ")
    return genus[:3] + epithet[:3]
