"""The reports of an audit, from its files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.audit.evidence import Evidence, read_evidence
from copylens.checksums import checked
from copylens.files import read_array, read_arrays, read_table
from copylens.reports import MAX_PAIRS, write_report
from copylens.reports.content import pair_numbers
from copylens.splits import rows_of


def report_audit(files: dict, public: Path, restricted: Path) -> None:
    """Write report.html and report.pdf into both folders.

    files: as of `judge_audit`, and verdict, public_samples, restricted_samples.
    """
    verdict = json.loads(checked(files["verdict"]).read_text())
    evidence = read_evidence(files)
    scores = scores_of(evidence)
    table = read_table(files["public_samples"])
    paths = public / "report.html", public / "report.pdf"
    write_report(verdict, table, scores, None, "public", *paths)
    table = read_table(files["restricted_samples"])
    table["file"] = table["file"].astype(str)
    paths = restricted / "report.html", restricted / "report.pdf"
    write_report(verdict, table, scores, _pairs(table, files, verdict["rule"]["detectors"]), "restricted", *paths)


def scores_of(evidence: Evidence) -> dict[str, dict[str, np.ndarray]]:
    """Each detector's similarities of the samples, of innocent images, and of planted copies."""
    sets = ("synthetic", "calibration", "control")
    return {
        detector: {name: found.similarity[name] for name in sets}
        | {"planted": found.similarity["planted"].reshape(len(evidence.transforms), -1)[:, evidence.is_copy].ravel()}
        for detector, found in evidence.found.items()
    }


def _pairs(table: pd.DataFrame, files: dict, detectors: list[str]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The flagged samples that the report shows, each beside the training image that it's called a copy of."""
    trained = rows_of(read_table(files["splits"]), "train")
    index = {name: read_arrays(files["nearest"][name])["synthetic_index"] for name in detectors}
    images, synthetic = read_array(files["images"]), read_array(files["synthetic"])
    rows = [number - 1 for number in pair_numbers(table, range(1, len(table) + 1), detectors[0])[:MAX_PAIRS]]
    return {
        row + 1: (np.array(synthetic[row]), np.array(images[trained[index[table["named_by"][row]][row]]]))
        for row in rows
    }
