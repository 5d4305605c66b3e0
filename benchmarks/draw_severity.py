"""AUROC of detectors against the severity of changes, as a picture for docs/.

    COPYLENS_DATA=... .venv/bin/snakemake study_families --configfile configs/families_nih.yaml --cores 2
    .venv/bin/python benchmarks/draw_severity.py results nih_split_10 docs/severity_curves.png

The first page of the figure `severity_curves`, of one data set and the detectors that were benchmarked on it.
"""

import sys
from pathlib import Path

import pandas as pd

from copylens.reporting.figures.severity_curves import draw

if __name__ == "__main__":
    results, dataset, picture = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    paths = sorted(results.glob(f"detectors/{dataset}/*/benchmark.csv"), reverse=True)
    table = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    draw(table.assign(dataset=dataset))[0].savefig(picture, dpi=110)
