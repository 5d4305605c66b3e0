"""docs/operating_characteristics.md's tables, printed, and its two figures, from the benchmarks' tables.

    .venv/bin/python benchmarks/draw_characteristics.py

Reads operating_characteristics.tsv and interval_coverage.tsv beside this file; writes docs/verdict_rates.png and
docs/interval_coverage.png.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from copylens.reporting.audit_report.sheets import TONES
from copylens.reporting.page import QUIET, house_style

HERE, DOCS = Path(__file__).parent, Path(__file__).parents[1] / "docs"
WORDS = {"PASS": "pass", "NOT ABLE TO SAY": "unable", "FAIL": "fail"}
USUAL = {"train": 200, "held_out": 120, "samples": 300, "images": 1, "likeness": "usual"}
LIMIT, NOMINAL, LEAST = 0.05, 0.95, 0.93
COVERED = {
    "copies_covered": "share of copies",
    "patients_covered": "patients exposed",
    "auc_covered": "area of the membership test",
    "control_covered": "false positive rate",
}
TITLES = {
    (200, 120, 300, 1, "usual"): "200 training, 120 + 120 held-out\npatients, 300 samples",
    (70, 70, 100, 1, "usual"): "70 training, 70 + 70 held-out,\n100 samples",
    (60, 60, 1000, 1, "usual"): "60 training, 60 + 60 held-out,\n1,000 samples",
    (1000, 300, 300, 1, "usual"): "1,000 training, 300 + 300 held-out,\n300 samples",
    (200, 120, 1000, 1, "usual"): "1,000 samples",
    (200, 120, 300, 3, "usual"): "three images of each patient",
    (200, 120, 300, 1, "alike"): "patients alike",
}


def kind_of(row: pd.Series) -> str:
    """A cell's title."""
    title = TITLES[tuple(row[name] for name in USUAL)].replace("\n", " ")
    seen = str(row["seen"])
    if seen == "least":
        return "copies of the kind that is found least"
    sees = seen.strip("()").split(", ")
    if "0" in sees:
        barely = " barely" if sees[0] == "3.3" else ""
        return (
            f"{'one detector' if sees[1] == '0' else 'two detectors'}{barely} see{'s' if sees[1] == '0' else ''} them"
        )
    return title


@house_style()
def draw_rates(table: pd.DataFrame) -> None:
    """Verdicts by the true share of copies."""
    figure, axes = plt.subplots(2, 4, figsize=(10, 4.6), sharey=True, layout="constrained")
    cells = table[table["seen"].astype(str) == "(6.0, 6.0, 6.0)"]
    for axis, (sizes, title) in zip(axes.flat, TITLES.items(), strict=False):
        rows = cells[(cells[list(USUAL)] == list(sizes)).all(axis=1)]
        bottom = 0
        for word, tone in WORDS.items():
            axis.bar(range(len(rows)), rows[word], bottom=bottom, color=TONES[tone][0], alpha=0.85, label=word)
            bottom = bottom + rows[word].to_numpy()
        axis.set_title(title, fontsize=8)
        axis.set_xticks(range(len(rows)), [f"{100 * share:g}" for share in rows["copies"]], fontsize=7)
        axis.axvline(list(rows["copies"]).index(LIMIT), color="white", linewidth=1, linestyle=":")
    for axis in axes[-1]:
        axis.set_xlabel("true share of copies, %", fontsize=8)
    for axis in axes[:, 0]:
        axis.set_ylabel("share of audits", fontsize=8)
    last: Axes = axes.flat[-1]
    last.axis("off")
    last.legend(*axes.flat[0].get_legend_handles_labels(), loc="center", frameon=False, fontsize=9)
    figure.savefig(DOCS / "verdict_rates.png", dpi=150, metadata={"Software": None})


@house_style()
def draw_coverage(table: pd.DataFrame, study: pd.DataFrame) -> None:
    """How often each interval holds the truth, a point a cell."""
    figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    agreed = table[~table["seen"].astype(str).str.contains(", 0, 0")]
    groups = {f"audit: {title}": agreed[name].dropna() for name, title in COVERED.items()}
    for rate, rows in study[(study["rule"] == "matched") & (study["n"] >= 60)].groupby("rate", sort=False):
        groups[f"study: {str(rate).replace('_', ' ')}"] = rows["coverage"]
    for place, (name, values) in enumerate(reversed(groups.items())):
        colour = TONES["pass"][0] if name.startswith("audit") else QUIET
        spread = pd.Series(range(len(values))).sub(len(values) / 2).mul(0.5 / max(len(values), 1))
        axis.scatter(values, place + spread, s=9, color=colour, alpha=0.6, linewidth=0)
    axis.axvline(NOMINAL, color=QUIET, linestyle="--", linewidth=0.8)
    axis.axvline(LEAST, color=TONES["fail"][0], linestyle=":", linewidth=0.8)
    axis.set_yticks(range(len(groups)), list(reversed(groups)), fontsize=8)
    axis.set_xlabel("share of intervals that hold the truth (dashed: nominal, dotted: 93 %)", fontsize=8)
    figure.savefig(DOCS / "interval_coverage.png", dpi=150, metadata={"Software": None})


def main() -> None:
    table = pd.read_csv(HERE / "operating_characteristics.tsv", sep="\t")
    study = pd.read_csv(HERE / "interval_coverage.tsv", sep="\t")
    draw_rates(table)
    draw_coverage(table, study)
    shown = ("audits", "copies, %", *(f"{word}, %" for word in ("PASS", "FAIL", "NOT ABLE TO SAY")))
    shown += ("samples left, %", "rest PASSes, %", "copies in it, %", "flips, %", "Jaccard index")
    print(f"| {' | '.join(shown)} |")
    print("|---|" + "---|" * 9)
    for _, row in table.iterrows():
        shares = [row[name] for name in ("copies", *("PASS", "FAIL", "NOT ABLE TO SAY"), "left", "rest_passes")]
        cells = [
            f"{100 * share:.3g}" if pd.notna(share) else "–"
            for share in (*shares, row["most_copies_left"], row["flips"])
        ]
        jaccard = f"{row['jaccard']:.2f}" if pd.notna(row["jaccard"]) else "–"
        print(f"| {kind_of(row)} | {' | '.join(cells)} | {jaccard} |")
    agreed = table[~table["seen"].astype(str).str.contains(", 0, 0")]
    for name, title in COVERED.items():
        worst = agreed.loc[agreed[name].idxmin()]
        print(f"\n{title}: lowest {100 * worst[name]:.1f} % ({kind_of(worst)}, {100 * worst['copies']:g} % copies)")
        print(
            "below 93 %:",
            [(kind_of(row), row["copies"], row[name]) for _, row in agreed[agreed[name] < LEAST].iterrows()],
        )


if __name__ == "__main__":
    main()
