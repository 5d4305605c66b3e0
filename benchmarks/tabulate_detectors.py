"""The benchmarks of a study's detectors as tables in Markdown, for docs/.

    .venv/bin/python benchmarks/tabulate_detectors.py results

Argument: a results folder in which several splits of one data set were benchmarked.
"""

import sys
from pathlib import Path

import pandas as pd

OURS = "copylens"


def by_group(table: pd.DataFrame) -> pd.DataFrame:
    """Means over splits and transforms, and the worst transform's mean over splits, by detector and group."""
    rows = []
    for detector, of_detector in table.groupby("detector", sort=False):
        for group, of_group in of_detector.groupby("group", sort=False):
            by_transform = of_group.groupby("transform", sort=False).mean(numeric_only=True)
            worst = by_transform["auroc"].idxmin()
            called = by_transform["false_positives"].idxmax()
            means = by_transform.mean()
            rows.append(
                {
                    "detector": f"`{detector}`",
                    "copies": group,
                    "AUROC": f"{means['auroc']:.4f}",
                    "worst": f"{by_transform['auroc'][worst]:.3f} ({worst})",
                    "found, %": f"{100 * means['sensitivity']:.1f}",
                    "most false positives, %": f"{100 * by_transform['false_positives'][called]:.1f} ({called})",
                    "right source first, %": f"{100 * means['top1']:.1f}",
                    "among 20, %": f"{100 * means['recall_at_20']:.1f}",
                }
            )
    return pd.DataFrame(rows)


def by_transform(table: pd.DataFrame, value: str, digits: int) -> pd.DataFrame:
    """Mean over splits of one value, transforms by detectors."""
    wide = table.pivot_table(index=["group", "transform"], columns="detector", values=value, sort=False)
    wide = wide.reindex(columns=table["detector"].unique()).map(lambda share: f"{share:.{digits}f}")
    return wide.reset_index(level="transform").reset_index(drop=True)


def clean(table: pd.DataFrame) -> pd.DataFrame:
    """The false positive rate of each detector on unchanged control images, by split, with 95 % intervals."""
    rows = []
    for detector, of_detector in table[table["transform"] == "identity"].groupby("detector", sort=False):
        shares = [
            f"{100 * row['false_positives']:.1f} ({100 * row['false_positives_low']:.0f}–"
            f"{100 * row['false_positives_high']:.0f})"
            for _, row in of_detector.iterrows()
        ]
        rows.append({"detector": f"`{detector}`", **dict(zip(of_detector["dataset"], shares, strict=True))})
    return pd.DataFrame(rows).fillna("not measured")


def markdown(table: pd.DataFrame) -> str:
    lines = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).values.tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ours(table: pd.DataFrame) -> pd.DataFrame:
    """AUROC of every detector, and our detector's shares, mean over splits, by transform."""
    areas = by_transform(table, "auroc", 3).set_index("transform")
    of_ours = table[table["detector"] == OURS]
    shares = {"found, %": "sensitivity", "false positives, %": "false_positives", "right source first, %": "top1"}
    means = (
        of_ours.groupby("transform", sort=False)[list(shares.values())].mean().map(lambda share: f"{100 * share:.1f}")
    )
    return areas.join(means.set_axis(list(shares), axis=1)).reset_index()


def claims(table: pd.DataFrame) -> str:
    """Transforms on which our detector isn't better than another one, by AUROC, mean over splits."""
    wide = table.pivot_table(index="transform", columns="detector", values="auroc", sort=False)
    lines = []
    for rival in wide.columns.drop(OURS):
        lost = wide.index[wide[OURS] < wide[rival]]
        names = ", ".join(f"{name} ({wide[OURS][name]:.4f} against {wide[rival][name]:.4f})" for name in lost)
        lines.append(f"`{OURS}` is below `{rival}` on: {names or 'none'}")
    return "\n".join(lines)


if __name__ == "__main__":
    paths = sorted(Path(sys.argv[1]).glob("detectors/*/benchmark.csv"))
    everything = pd.concat([pd.read_csv(path).assign(dataset=path.parent.name) for path in paths], ignore_index=True)
    for part in (by_group(everything), clean(everything)):
        print(markdown(part), end="\n\n")
    print("AUROC\n\n" + markdown(by_transform(everything, "auroc", 3)), end="\n\n")
    print("found at the matched threshold\n\n" + markdown(by_transform(everything, "sensitivity", 2)), end="\n\n")
    print(f"{OURS}\n\n" + markdown(ours(everything)), end="\n\n")
    print(claims(everything))
