"""Whether detectors agree about which samples are copies, by the matched rule's thresholds, and their joint rates."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from copylens.config.columns import STATE
from copylens.data.splits import rows_of
from copylens.evaluation.combination import Candidates, combine_sets
from copylens.evaluation.thresholds import rates_of_copies
from copylens.jobs.files import read_arrays, read_table, write_table

SETS = ("synthetic", "calibration", "control", "calibration_decoded", "control_decoded")
NETWORK = tuple(name for name in STATE if name != "epoch")
ENDS = [f"{rate}{end}" for rate in ("copies", "control_rate", "control_rate_decoded") for end in ("", "_low", "_high")]
AGREEMENT = [*STATE, "detector", "other", "n", "both", "only_first", "only_other", "kappa", "same_source"]
CONSENSUS = [*STATE, "rule", "detectors", "at_least", *ENDS]


def compare_detectors(
    runs: list[dict], files: list[dict], scores_path: Path, intervals: dict, agreement_path: Path, consensus_path: Path
) -> None:
    """Write two tables, for each state of each network of a study.

    agreement: detector and other, n samples; both, only_first, only_other: shares called; kappa (Cohen 1960; empty
    where both give all samples the same call); same_source: of the samples that both call copies, the share with the
    same nearest training image. consensus: a row per rule, with its copies and control rates. votes: at_least so many
    detectors call an image; combined: their combined evidence (`copylens.evaluation.combination`), with intervals.

    files: for each run nearest and splits. intervals: draws and seed.
    """
    scores = read_table(scores_path).query("rule == 'matched'")
    by_network: dict[tuple, dict[str, dict]] = {}
    for run, paths in zip(runs, files, strict=True):
        key = tuple(run[name] for name in NETWORK)
        by_network.setdefault(key, {})[run["detector"]] = paths
    agreement, consensus = [], []
    for key, by_detector in by_network.items():
        named = dict(zip(NETWORK, key, strict=True))
        arrays = {name: read_arrays(paths["nearest"]) for name, paths in by_detector.items()}
        splits = read_table(next(iter(by_detector.values()))["splits"])
        of_network = scores[np.logical_and.reduce([scores[name] == value for name, value in named.items()])]
        for state, epoch in enumerate(of_network["epoch"].unique()):
            taus = of_network[of_network["epoch"] == epoch].set_index("detector")["tau"]
            found = {name: _sets_of(of_detector, state) for name, of_detector in arrays.items()}
            pairs, rules = _agreement(found, taus), _consensus(found, taus, splits, intervals)
            agreement += [{**named, "epoch": epoch, **row} for row in pairs]
            consensus += [{**named, "epoch": epoch, **row} for row in rules]
    write_table(pd.DataFrame(agreement, columns=AGREEMENT), agreement_path)
    table = pd.DataFrame(consensus, columns=CONSENSUS)
    write_table(table.astype({"at_least": "Int64"}), consensus_path)


def _sets_of(arrays: dict[str, np.ndarray], state: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(similarity, row of images.npy) [image, rank] of the nearest training images, by set, for one state."""
    found = {name: (arrays[f"{name}_to_train_similarity"], arrays[f"{name}_to_train_index"]) for name in SETS}
    similarity, index = found["synthetic"]
    return found | {"synthetic": (similarity[state], index[state])}


def _agreement(found: dict[str, dict], taus: pd.Series) -> list[dict]:
    """A row for each two detectors."""
    calls = {name: sets["synthetic"][0][:, 0] > taus[name] for name, sets in found.items()}
    source = {name: sets["synthetic"][1][:, 0] for name, sets in found.items()}
    return [
        {"detector": first, "other": other, **_agree(calls, source, first, other)}
        for first, other in itertools.combinations(found, 2)
    ]


def _consensus(found: dict[str, dict], taus: pd.Series, splits: pd.DataFrame, intervals: dict) -> list[dict]:
    """A row for each number of detectors that call an image, and one for their combined evidence."""
    rows: list[dict] = []
    times = {name: sum(sets[name][0][:, 0] > taus[detector] for detector, sets in found.items()) for name in SETS}
    for at_least in range(1, len(found) + 1):
        row: dict = {"rule": "votes", "detectors": len(found), "at_least": at_least}
        for rate, name in (("copies", "synthetic"), ("control_rate", "control")):
            row[rate] = (times[name] >= at_least).mean()
        decoded = times["control_decoded"]
        rows.append(row | {"control_rate_decoded": (decoded >= at_least).mean() if len(decoded) else np.nan})
    patient = np.unique(splits["patient"], return_inverse=True)[1]
    calibration, control = (
        np.unique(patient[rows_of(splits, role)], return_inverse=True)[1] for role in ("calibration", "control")
    )
    candidates = {
        name: [Candidates(similarity, patient[index]) for similarity, index in (sets[name] for sets in found.values())]
        for name in SETS
    }
    statistic = {name: value for name, (value, _) in combine_sets(candidates, calibration).items()}
    rates = rates_of_copies(statistic, calibration, control, intervals["draws"], intervals["seed"])
    return [*rows, {"rule": "combined", "detectors": len(found), **{end: rates[end] for end in ENDS}}]


def _agree(calls: dict[str, np.ndarray], source: dict[str, np.ndarray], first: str, other: str) -> dict[str, float]:
    one, two = calls[first], calls[other]
    both = one & two
    alike = len(np.unique(np.concatenate([one, two]))) == 1
    return {
        "n": len(one),
        "both": both.mean(),
        "only_first": (one & ~two).mean(),
        "only_other": (two & ~one).mean(),
        "kappa": np.nan if alike else cohen_kappa_score(one, two),
        "same_source": (source[first] == source[other])[both].mean() if both.any() else np.nan,
    }
