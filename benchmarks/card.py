"""Print the tables of docs/model-card.md from the card of a model, and draw its reliability diagram.

python benchmarks/card.py [--model batpam/models/europe.safetensors] [--diagram docs/reliability.svg]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from batpam.models.files import ModelCard, read_card, shipped_model

SIZE, EDGE = 300, 45
"""Of each plot, pixels."""

PLOTS = (
    ("detection_probability", "is a bat call"), ("group_probability", "is of the group"),
    ("species_probability", "is the species"),
)  # fmt: skip
"""Metric, and what the share is of."""


def shares(values: dict[str, Any]) -> str:
    """A row of names and a row of shares, as Markdown."""
    names = " | ".join(values)
    numbers = " | ".join("–" if value is None else f"{value:.2f}" for value in values.values())
    return f"| {names} |\n|{'---|' * len(values)}\n| {numbers} |\n"


def group_confusion(card: ModelCard) -> str:
    """Shares of the calls found of every group by the group of the likeliest species, as Markdown, in %."""
    groups = list(dict.fromkeys(taxon.group for taxon in card.taxa))
    place = np.array([groups.index(taxon.group) for taxon in card.taxa])
    table = np.zeros((len(groups), len(groups)))
    np.add.at(table, (place[:, None], place[None, :]), np.array(card.metrics["confusion"]))
    table = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    lines = [f"| | {' | '.join(groups)} |", f"|---|{'---|' * len(groups)}"]
    lines += [f"| {name} | {' | '.join(f'{v:.0f}' if v >= 0.5 else '' for v in row)} |" for name, row in zip(groups, table, strict=True)]  # fmt: skip
    return "\n".join(lines) + "\n"


def diagram(card: ModelCard) -> str:
    """Share that is right against the probability that was stated: of detections, groups and species; as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(PLOTS) * (SIZE + EDGE) + 20} {SIZE + 2 * EDGE}" '
        'font-family="sans-serif" font-size="12" fill="#222">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (name, title) in enumerate(PLOTS):
        left, bottom = EDGE + number * (SIZE + EDGE), SIZE + EDGE
        parts.append(f'<rect x="{left}" y="{EDGE}" width="{SIZE}" height="{SIZE}" fill="none" stroke="#999"/>')
        parts.append(f'<path d="M{left} {bottom}L{left + SIZE} {EDGE}" stroke="#999" stroke-dasharray="4"/>')
        parts.append(f'<text x="{left + SIZE / 2}" y="{EDGE - 12}" text-anchor="middle">share that {title}</text>')
        parts.append(f'<text x="{left + SIZE / 2}" y="{bottom + 32}" text-anchor="middle">probability stated</text>')
        for tick in (0, 0.5, 1):
            parts.append(f'<text x="{left + tick * SIZE}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
            parts.append(f'<text x="{left - 6}" y="{bottom - tick * SIZE + 4}" text-anchor="end">{tick:g}</text>')
        for point in card.metrics[name]:
            x, y = left + point["probability"] * SIZE, bottom - point["right"] * SIZE
            radius = 2 + np.log10(point["detections"])
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#0072b2"><title>{point["detections"]}</title></circle>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=shipped_model())
    parser.add_argument("--diagram", type=Path, default=Path("docs/reliability.svg"))
    options = parser.parse_args()
    card = read_card(options.model)
    metrics = card.metrics
    print({name: value for name, value in card.training.items()})
    plain = ("windows", "calls", "recall", "precision", "species_right", "group_right")
    print("\n".join(f"| {name.replace('_', ' ')} | {metrics[name]} |" for name in plain), "\n")
    for name in ("recall_by_snr_db", "recall_by_call_type", "call_type_right", "species_right_by_code"):
        print(f"{name}\n{shares(metrics[name])}")
    print(group_confusion(card))
    options.diagram.write_text(diagram(card))


if __name__ == "__main__":
    main()
