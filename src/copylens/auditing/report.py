"""The reports of an audit, from its files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.auditing.crate import write_crate
from copylens.auditing.evidence import Evidence, read_evidence
from copylens.auditing.findings import HELD_OUT
from copylens.auditing.outcomes import may_be_released
from copylens.auditing.sums import FILES, SUMS
from copylens.data.splits import rows_of
from copylens.jobs.checksums import checked, file_checksum
from copylens.jobs.files import read_array, read_arrays, read_table
from copylens.reporting.audit_report import MAX_PAIRS, Restricted, write_report
from copylens.reporting.audit_report.bands import shares_by_band
from copylens.reporting.audit_report.paragraphs import pair_numbers


def report_audit(files: dict, public: Path, restricted: Path) -> None:
    """Write report.html and report.pdf into both folders, and the public one's research object.

    files: those of `judge_audit`, verdict, public_samples, restricted_samples, and rest, the folder of `gather_rest`.
    """
    verdict = json.loads(checked(files["verdict"]).read_text(encoding="utf-8"))
    evidence = read_evidence(files)
    table = read_table(files["public_samples"])
    sums = file_checksum(Path(files["rest"]) / FILES / SUMS) if may_be_released(verdict) else None
    write_report(verdict, table, bands_of(evidence), None, "public", sums, public)
    write_crate(verdict, public)
    table = read_table(files["restricted_samples"])
    table["file"] = table["file"].astype(str)
    failed = {line["name"] for line in verdict["lines"] if line["outcome"] != "pass"}
    shown = Restricted(
        _pairs(table, files, verdict["rule"]["detectors"]),
        _lying(evidence.kind, files) if "kind" in failed else None,
        held_out_alike(evidence) if "apart" in failed else [],
    )
    write_report(verdict, table, scores_of(evidence), shown, "restricted", sums, restricted)


def scores_of(evidence: Evidence) -> dict[str, dict[str, np.ndarray]]:
    """Each detector's similarities of the samples, of held-out patients' images, and of planted copies."""
    sets = ("synthetic", *HELD_OUT)
    return {
        name: {images: detector.similarity[images] for images in sets}
        | {"planted": detector.similarity["planted"].reshape(len(evidence.transforms), -1)[:, evidence.is_copy].ravel()}
        for name, detector in evidence.detectors.items()
    }


def bands_of(evidence: Evidence) -> dict[str, dict[str, list[float | None]]]:
    """The similarities of `scores_of` for the public edition: by detector, each group's shares by band."""
    scores = scores_of(evidence)
    return {name: shares_by_band(scores[name], detector.tau()) for name, detector in evidence.detectors.items()}


def held_out_alike(evidence: Evidence) -> list[tuple[str, str, str]]:
    """(held-out patient, role, training patient) of held-out images more similar to the latter than chance explains.

    Each pair of patients is listed once, however many of their images are similar.
    """
    rows = np.concatenate([rows_of(evidence.splits, role) for role in HELD_OUT])
    alike = evidence.like_training()
    held_out = evidence.splits.iloc[rows[alike >= 0]]
    names = zip(held_out["patient"], held_out["role"], evidence.patients[alike[alike >= 0]], strict=True)
    return list(dict.fromkeys((str(patient), str(role), str(like)) for patient, role, like in names))


def _lying(kind: dict[str, np.ndarray], files: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(a misoriented sample, the sample in its best orientation, its nearest training image then); None without one."""
    if kind["example"] < 0:
        return None
    sample, nearest = read_array(files["synthetic"])[kind["example"]], read_array(files["images"])[kind["nearest"]]
    return np.array(sample), kind["fitted"], np.array(nearest)


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
