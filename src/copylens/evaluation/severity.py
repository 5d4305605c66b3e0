"""Benchmarks of families of transforms by severity. Loads no torch: figures are drawn without it."""

import pandas as pd

MEAN = "mean"


def family_name(family: str, severity: float) -> str:
    """The name of a family's transform in tables: `zoom_050` for severity 0.5."""
    return f"{family}_{round(100 * severity):03d}"


def by_severity(benchmark: pd.DataFrame) -> pd.DataFrame:
    """The rows of a benchmark that are families at a severity, with family and severity, and their means last.

    The mean over families, of each data set, detector and severity, has the family and the group `mean`.
    """
    named = benchmark["transform"].str.extract(r"^(?P<family>.+)_(?P<severity>\d{3})$")
    kept = named["severity"].notna()
    severity = named["severity"][kept].astype(float) / 100
    rows = benchmark[kept].assign(family=named["family"][kept], severity=severity)
    keys = ["dataset", "detector", "severity"] if "dataset" in rows else ["detector", "severity"]
    means = rows.groupby(keys, sort=False).mean(numeric_only=True).reset_index()
    return pd.concat([rows, means.assign(family=MEAN, group=MEAN, transform=MEAN)], ignore_index=True)
