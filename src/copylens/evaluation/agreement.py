"""Whether detectors agree about which samples are copies, by the matched rule's thresholds."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from copylens.config.columns import STATE
from copylens.jobs.files import read_arrays, read_table, write_table


def compare_detectors(
    runs: list[dict], nearest: list[Path], scores_path: Path, agreement_path: Path, consensus_path: Path
) -> None:
    """Write two tables, for each state of each network of a study.

    agreement: detector and other, n samples; both, only_first, only_other: shares called; kappa (Cohen 1960; empty
    where both give all samples the same call); same_source: of the samples that both call copies, the share with the
    same nearest training image. consensus: at_least, and the share of samples that so many detectors call copies.
    """
    scores = read_table(scores_path).query("rule == 'matched'")
    by_network: dict[tuple, dict[str, dict[str, np.ndarray]]] = {}
    for run, path in zip(runs, nearest, strict=True):
        key = tuple(run[name] for name in STATE if name != "epoch")
        by_network.setdefault(key, {})[run["detector"]] = read_arrays(path)
    agreement, consensus = [], []
    for key, by_detector in by_network.items():
        named = dict(zip((name for name in STATE if name != "epoch"), key, strict=True))
        of_network = scores[np.logical_and.reduce([scores[name] == value for name, value in named.items()])]
        for state, epoch in enumerate(of_network["epoch"].unique()):
            taus = of_network[of_network["epoch"] == epoch].set_index("detector")["tau"]
            calls = {
                name: arrays["synthetic_to_train_similarity"][state, :, 0] > taus[name]
                for name, arrays in by_detector.items()
            }
            source = {name: arrays["synthetic_to_train_index"][state, :, 0] for name, arrays in by_detector.items()}
            for first, other in itertools.combinations(by_detector, 2):
                row = {"detector": first, "other": other, **_agree(calls, source, first, other)}
                agreement.append({**named, "epoch": epoch, **row})
            times = np.sum(list(calls.values()), axis=0)
            for at_least in range(1, len(calls) + 1):
                row = {"detectors": len(calls), "at_least": at_least, "copies": (times >= at_least).mean()}
                consensus.append({**named, "epoch": epoch, **row})
    columns = [*STATE, "detector", "other", "n", "both", "only_first", "only_other", "kappa", "same_source"]
    write_table(pd.DataFrame(agreement, columns=columns), agreement_path)
    write_table(pd.DataFrame(consensus, columns=[*STATE, "detectors", "at_least", "copies"]), consensus_path)


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
