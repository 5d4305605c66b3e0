"""The verdict and the samples' tables, in two editions: a public one without patients, and a restricted one.

V are the calibration images, H the control images.
"""

import os
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.auditing.evidence import Evidence, read_evidence
from copylens.auditing.membership import membership
from copylens.auditing.release import harmless, sample_names
from copylens.auditing.verdict import judge, to_json
from copylens.auditing.withhold import withheld_samples
from copylens.data import source_files
from copylens.jobs.checksums import checked, file_checksum, whole
from copylens.jobs.files import read_arrays, write_table

LIBRARIES = ("faiss-cpu", "monai", "numpy", "scikit-learn", "scipy", "torch")
README = """This folder is restricted: it holds images, names and numbers of patients.

Nothing in it may leave the place where the patients' images are kept. Only the folder `public` beside it may be shown
to others, and `rest/files`, the samples that may be released once the report is signed; it is empty where none may be.
`patients.tsv` leads from the pseudonyms in report.html back to your own ids and files.
"""


def restrict(folder: Path) -> None:
    """Create `folder`, which only its owner can open, with a README.txt that gives the reason."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    with whole(folder / "README.txt") as temporary:
        temporary.write_text(README, encoding="utf-8")


def judge_audit(
    audit: str,
    files: dict,
    policy: dict,
    config: dict,
    listing: dict | None,
    outputs: dict[str, Path],
) -> None:
    """Write an audit's verdict, its tables of samples, and the record of the files that the verdict is about.

    outputs: verdict (JSON), public and restricted (tables), files (`copylens.data.source_files`; its digests stand in
    the verdict).

    The public table has the columns sample and withheld, no more: anyone with a patient's image and the samples can
    compute similarities too, and published ones would reveal whether the patient was trained on. The restricted one
    has sample; for each detector similarity, called and patient; copy, withheld, identical, held_out (an image of V or
    H), named_by (the detector that names the patient), group (see `copylens.auditing.repeats`), and the sample's file.

    files: nearest (by detector), kind, attacks, splits, samples, sources, transforms, images, synthetic; membership
    where weights are to be released, synthetic_scans where samples are a data set; records of all data sets, by their
    part in the audit. config: the audit's part of the configuration, for the report. listing: settings of the data set
    of samples, None for a network's.
    """
    evidence = replace(read_evidence(files), rule=policy["rule"])
    member = (
        membership(read_arrays(files["membership"]), policy["level"], policy["seed"]) if "membership" in files else None
    )
    verdict = {"audit": audit, **judge(evidence, policy, member)}
    quarantine = verdict["quarantine"]
    withheld = evidence.copies("synthetic") | evidence.identical | evidence.is_held_out
    if quarantine:
        withheld = withheld_samples(evidence, quarantine["percentile"], quarantine["detectors"])
    verdict["provenance"] = {
        "copylens": version("copylens"),
        "python": platform.python_version(),
        "libraries": {library: version(library) for library in LIBRARIES},
        "checksums": {part: file_checksum(checked(files[part])) for part in ("images", "synthetic")}
        | source_files.freeze(files["records"], outputs["files"]),
        "seeds": {"audit": policy["seed"]},
        "config": config,
    }
    table = samples_of(evidence, withheld)
    names = [harmless(name) for name in sample_names(listing, files.get("synthetic_scans"), len(table))]
    write_table(table.assign(file=names), outputs["restricted"])
    write_table(table[["sample", "withheld"]], outputs["public"])
    with whole(outputs["verdict"]) as temporary:
        temporary.write_text(to_json(verdict), encoding="utf-8")


def samples_of(evidence: Evidence, withheld: np.ndarray) -> pd.DataFrame:
    """A row per sample: each detector's similarity, call and nearest training patient; the rule's call; its group."""
    columns = {"sample": np.arange(1, len(withheld) + 1)}
    for name, detector in evidence.detectors.items():
        columns[f"similarity_{name}"] = detector.similarity["synthetic"]
        columns[f"called_{name}"] = detector.calls("synthetic")
        columns[f"patient_{name}"] = evidence.patients[detector.patient["synthetic"]]
    copies = evidence.copies("synthetic") | evidence.identical
    columns |= {"copy": copies, "withheld": withheld, "identical": evidence.identical, "held_out": evidence.is_held_out}
    columns["named_by"] = np.array(list(evidence.detectors))[evidence.named_by("synthetic").clip(0)]
    return pd.DataFrame(columns | {"group": evidence.group})
