"""docs/operating_characteristics.md's tables, printed, and its two figures, from the tables of two benchmarks.

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
NOMINAL, LEAST, FEW = 0.95, 0.93, 60
COVERED = {
    "copies_covered": "share of copies",
    "patients_covered": "patients exposed",
    "auc_covered": "area of the membership test",
    "control_covered": "false positive rate",
}
RATES = {
    "copies": "share of copies",
    "memorized": "share of training images repeated",
    "patients_memorized": "share of patients repeated",
    "memorized_at_n_train": "the same, as many samples as images",
    "patients_memorized_at_n_train": "patients, as many samples as images",
    "control_rate": "false positive rate",
}
SIZES = ["train", "held_out", "samples", "images", "likeness"]
TITLES = {
    (200, 120, 300, 1, "usual"): "200 training, 120 + 120\nheld-out patients, 300 samples",
    (70, 70, 100, 1, "usual"): "70 training, 70 + 70\nheld-out, 100 samples",
    (60, 60, 1000, 1, "usual"): "60 training, 60 + 60\nheld-out, 1,000 samples",
    (1000, 300, 300, 1, "usual"): "1,000 training, 300 + 300\nheld-out, 300 samples",
    (200, 120, 1000, 1, "usual"): "1,000 samples",
    (200, 120, 300, 3, "usual"): "three images of each patient",
    (200, 120, 300, 1, "alike"): "patients alike",
}
SEEN = {
    "(6.0, 6.0, 6.0)": "",
    "(6.0, 0, 0)": "one detector sees them",
    "(3.3, 0, 0)": "one detector barely sees them",
    "(6.0, 6.0, 0)": "two detectors see them",
    "least": "copies of the kind that is found least",
}
ONE_DETECTOR = ("(6.0, 0, 0)", "(3.3, 0, 0)")


def title_of(row: pd.Series) -> str:
    """A row's title; those that name no patients are about the first kind of audit."""
    title = TITLES[tuple(row[SIZES])].replace("\n", " ").replace(" patients,", ",")
    if SEEN[row["seen"]]:
        return f"the first, {SEEN[row['seen']]}"
    if "training" in title:
        return title
    return f"the first, {title}" if title == "patients alike" else f"the first with {title}"


@house_style()
def draw_rates(table: pd.DataFrame) -> None:
    """Verdicts by the true share of copies, a panel for each kind of audit."""
    figure, axes = plt.subplots(2, 4, figsize=(10, 4.8), sharey=True, layout="constrained")
    cells = table[table["seen"] == "(6.0, 6.0, 6.0)"]
    for axis, (sizes, title) in zip(axes.flat, TITLES.items(), strict=False):
        rows = cells[(cells[SIZES] == list(sizes)).all(axis=1)]
        bottom = pd.Series(0.0, rows.index)
        for word, tone in WORDS.items():
            axis.bar(range(len(rows)), 100 * rows[word], bottom=bottom, width=0.86, color=TONES[tone][0], label=word)
            bottom = bottom + 100 * rows[word]
        axis.set_title(title, fontsize=8)
        axis.set_xticks(range(len(rows)), [f"{100 * share:g}" for share in rows["copies"]], fontsize=7)
    for axis in axes.flat[len(TITLES) - 4 : len(TITLES)]:
        axis.set_xlabel("true share of copies, %", fontsize=8)
    for axis in axes[:, 0]:
        axis.set_ylabel("audits, %", fontsize=8)
    last: Axes = axes.flat[-1]
    last.axis("off")
    last.legend(*axes.flat[0].get_legend_handles_labels(), loc="center", frameon=False, fontsize=9)
    figure.savefig(DOCS / "verdict_rates.png", dpi=150, metadata={"Software": None})


@house_style()
def draw_coverage(table: pd.DataFrame, study: pd.DataFrame) -> None:
    """How often each interval holds the truth, a point a cell."""
    figure, axis = plt.subplots(figsize=(7, 3.8), layout="constrained")
    groups = {f"audit: {title}": table[name].dropna() for name, title in COVERED.items()}
    groups |= {f"study: {title}": study[study["rate"] == rate]["coverage"] for rate, title in RATES.items()}
    for place, (name, values) in enumerate(reversed(groups.items())):
        colour = TONES["pass"][0] if name.startswith("audit") else QUIET
        height = place + (pd.Series(range(len(values))) - (len(values) - 1) / 2) * 0.6 / len(values)
        axis.scatter(100 * values, height, s=9, color=colour, alpha=0.6, linewidth=0)
    axis.axvline(100 * NOMINAL, color=QUIET, linestyle="--", linewidth=0.8)
    axis.axvline(100 * LEAST, color=TONES["fail"][0], linestyle=":", linewidth=0.8)
    axis.set_xlim(100 * LEAST - 0.5, 100.3)
    axis.set_yticks(range(len(groups)), list(reversed(groups)), fontsize=8)
    axis.set_xlabel("intervals that hold the truth, %; dashed: nominal, dotted: 93 %", fontsize=8)
    figure.savefig(DOCS / "interval_coverage.png", dpi=150, metadata={"Software": None})


def per_cent(share: float) -> str:
    return f"{100 * share:.3g}" if pd.notna(share) else "–"


def print_table(table: pd.DataFrame) -> None:
    """Verdicts and what quarantine leaves, a row a cell."""
    columns = ("copies", *WORDS, "flips", "left", "rest_passes", "most_copies_left")
    heads = ("audit", "true copies", "PASS", "NOT ABLE", "FAIL", "flips", "samples left", "rest PASSes", "copies in it")
    print(f"\n| {' | '.join((*heads, 'Jaccard index'))} |")
    print("|---|" + "---|" * (len(columns) + 1))
    for _, row in table.iterrows():
        jaccard = f"{row['jaccard']:.2f}" if pd.notna(row["jaccard"]) else "–"
        print(f"| {title_of(row)} | {' | '.join(per_cent(row[name]) for name in columns)} | {jaccard} |")


def print_coverage(table: pd.DataFrame, study: pd.DataFrame) -> None:
    """The lowest coverage of each interval, and every one below `LEAST`."""
    print("\n| interval | cells | mean, % | lowest, % | where |")
    print("|---|---|---|---|---|")
    for name, title in COVERED.items():
        cells = table[table[name].notna()]
        worst = cells.loc[cells[name].idxmin()]
        copies = f"{per_cent(worst['copies'])} % copies" if worst["copies"] else "no copies"
        where = f"{title_of(worst)}, {copies}" if worst[name] < 1 else "everywhere"
        print(f"| audit: {title} | {len(cells)} | {per_cent(cells[name].mean())} | {per_cent(worst[name])} | {where} |")
    for rate, title in RATES.items():
        cells = study[study["rate"] == rate]
        worst = cells.loc[cells["coverage"].idxmin()]
        images = "an image" if worst["images_per_patient"] == 1 else f"{worst['images_per_patient']} images"
        where = f"{worst['n']} patients, {images} of each, {worst['rule']} rule"
        shares = per_cent(cells["coverage"].mean()), per_cent(worst["coverage"])
        print(f"| study: {title} | {len(cells)} | {' | '.join(shares)} | {where} |")
    low = [
        f"{title}: {title_of(row)}, {per_cent(row['copies'])} % copies: {per_cent(row[name])} %"
        for name, title in COVERED.items()
        for _, row in table[table[name] < LEAST].iterrows()
    ]
    low += [f"study: {' '.join(map(str, row))}" for row in study[study["coverage"] < LEAST].itertuples()]
    print("\nBelow 93 %:", *(low or ["none"]), sep="\n- ")


def main() -> None:
    # Commas and zeros as the benchmark wrote them.
    table = pd.read_csv(HERE / "operating_characteristics.tsv", sep="\t", dtype={"seen": str})
    study = pd.read_csv(HERE / "interval_coverage.tsv", sep="\t")
    study = study[study["n"] >= FEW]
    # Where only one detector sees the copies, the rule, which asks for two, isn't about them.
    agreed = table[~table["seen"].isin(ONE_DETECTOR)]
    draw_rates(table)
    draw_coverage(agreed, study)
    print_table(table)
    print_coverage(agreed, study)


if __name__ == "__main__":
    main()
