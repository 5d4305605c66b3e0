"""A study's copies, corrected for the sensitivity and the false positive rate of its detectors."""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.config.columns import RUN
from copylens.evaluation.prevalence import highest_false_positive_rate, true_share
from copylens.evaluation.review import judge_detectors
from copylens.jobs.files import read_arrays, read_table, write_table

DEFAULT_GROUPS = ("rigid", "round trip")  # of planted copies: changes that a generator makes by itself


def correct_rates(
    scores_path: Path,
    planted: dict[tuple[str, str], Path],
    transforms: list[str],
    review: list[Path],
    path: Path,
) -> None:
    """Write the table of true copies by the matched rule: run columns, copies, source, sensitivity, n_known,
    false_positive_rate, n_negatives, true_copies and its _low and _high, highest_false_positive_rate.

    The sensitivity is measured at the row's own threshold, on planted copies under `transforms` (all of
    `DEFAULT_GROUPS` where none are named), each transform counting alike; the false positive rate is the larger of
    the row's control rates. Where `review` has people's answers and their key (see `copylens.evaluation.review`), rows
    with `source` review are added, which take both rates from the answers.

    planted: the files of `copylens.evaluation.benchmark` by (dataset, detector).
    """
    rows = []
    reviewed = judge_detectors(*review) if review else pd.DataFrame(columns=["dataset", "detector"])
    for _, row in read_table(scores_path).query("rule == 'matched'").iterrows():
        false_positives = np.nanmax([row["control_rate"], row["control_rate_decoded"]])
        found_share, n_known = sensitivity(planted[row["dataset"], row["detector"]], transforms, row["tau"])
        measured = [("planted", found_share, n_known, false_positives, row["n_control"])]
        of_row = reviewed[(reviewed["dataset"] == row["dataset"]) & (reviewed["detector"] == row["detector"])]
        columns = ["sensitivity", "n_known", "false_positive_rate", "n_negatives"]
        measured += [("review", *answers) for answers in of_row[columns].itertuples(index=False)] if len(of_row) else []
        for source, found_share, n_known, wrongly, n_negatives in measured:
            share, low, high = true_share(row["copies"], row["n_synthetic"], found_share, n_known, wrongly, n_negatives)
            rows.append(
                {
                    **row[[*RUN]],
                    "copies": row["copies"],
                    "source": source,
                    "sensitivity": found_share,
                    "n_known": int(n_known),
                    "false_positive_rate": wrongly,
                    "n_negatives": int(n_negatives),
                    "true_copies": share,
                    "true_copies_low": low,
                    "true_copies_high": high,
                    "highest_false_positive_rate": highest_false_positive_rate(int(row["n_calibration_patients"])),
                }
            )
    write_table(pd.DataFrame(rows), path)


def sensitivity(path: Path, transforms: list[str], tau: float) -> tuple[float, int]:
    """Share of planted copies above `tau`, the mean over transforms, and the number of their patients."""
    arrays = read_arrays(path)
    kept = np.isin(arrays["transform"], transforms) if transforms else np.isin(arrays["group"], DEFAULT_GROUPS)
    missing = set(transforms) - set(arrays["transform"])
    if missing or not kept.any():
        raise ValueError(
            f"correction.transforms: {', '.join(sorted(missing)) or 'none'} not planted; "
            f"there are {', '.join(arrays['transform'])}"
        )
    called = arrays["similarity"][kept][:, arrays["is_copy"]] > tau
    return float(called.mean()), len(np.unique(arrays["patient"][arrays["is_copy"]]))
