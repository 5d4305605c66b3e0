"""The way back from an audit's pseudonyms to the hospital's own ids, for whoever has to notify patients. Restricted."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.auditing.evidence import read_evidence
from copylens.auditing.release import harmless
from copylens.data.listing import find_scans, pseudonyms_of
from copylens.data.scan import Scan
from copylens.jobs.files import read_table, write_table
from copylens.jobs.job import one_line


def list_patients(files: dict, listing: dict[str, dict], tables: dict[str, Path], path: Path) -> None:
    """Write a table of T's, V's and H's patients, those whom most samples repeat first.

    Columns: patient (the pseudonym), id (the hospital's), role, repeated_by (numbers of the samples that are called
    copies of this patient's images, or equal one), files. Cells that a spreadsheet would run get a leading apostrophe.

    files: those of `copylens.auditing.publish.judge_audit`. listing, tables: settings and scans.tsv of training, and of
    held_out if it is a data set of its own.

    Raises ValueError where a data set's patients are other ones than those that were listed.
    """
    evidence = read_evidence(files)
    scans: dict[str, Scan] = {}
    for part in tables:
        prefix = "held_out_" if part == "held_out" else ""
        scans |= {f"{prefix}{name}": scan for name, scan in _listed(listing[part], tables[part]).items()}
    named = np.where(evidence.copies("synthetic") | evidence.identical, evidence.nearest_patient("synthetic"), -1)
    samples = {patient: 1 + np.flatnonzero(named == number) for number, patient in enumerate(evidence.patients)}
    rows = []
    for (patient, role), images in evidence.splits.groupby(["patient", "role"], sort=True):
        own = [scans[name] for name in images["scan"]]
        numbers: Iterable = samples.get(patient, []) if role == "train" else []
        rows.append(
            {
                "patient": patient,
                "id": harmless(one_line(str(own[0].patient))),
                "role": role,
                "repeated_by": " ".join(map(str, numbers)),
                "files": harmless("; ".join(dict.fromkeys(one_line(scan.source) for scan in own))),
            }
        )
    rows.sort(key=lambda row: -len(row["repeated_by"].split()))
    write_table(pd.DataFrame(rows), path)


def _listed(settings: dict, table_path: Path) -> dict[str, Scan]:
    """The scans of a data set by the names in its scans.tsv."""
    table, (_, scans) = read_table(table_path), find_scans(settings)
    if table["patient"].tolist() != pseudonyms_of(scans):
        raise ValueError(f"{table_path}: the data set has changed since it was listed; run again")
    return dict(zip(table["scan"], scans, strict=True))
