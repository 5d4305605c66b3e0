"""Blinded review of pairs by people, which gives the detectors' sensitivity and false positive rate.

Pairs are drawn from both calls (copy and no copy), so that people see missed copies as well as false positives. Answers
are weighted by the number of samples with the same call.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.config.columns import NETWORK
from copylens.jobs.files import read_array, read_arrays, read_given, read_table, write_table
from copylens.jobs.seeds import generator_of

ANSWERS = ("copy", "other", "unsure")
RUN = ("dataset", "detector", *NETWORK[1:])


def draw_pairs(
    runs: list[dict],
    files: list[dict[str, Path]],
    scores_path: Path,
    settings: dict,
    key_path: Path,
    answers_path: Path,
) -> list[tuple[list[int], np.ndarray, np.ndarray]]:
    """Write the key of a review, an empty table of answers (pair, answer), and return the pairs: (numbers, left images,
    right images) for each shape of images.

    key: pair, dataset, detector, model, variant, seed, sample, row (of images.npy), called, and of_call, how many
    samples of these networks have the same call. Each data set and detector has settings['pairs'] pairs of the
    networks' last states, as evenly from both calls of the matched rule as possible. Pairs are in random order, the
    sample randomly left or right.

    files: nearest, samples and images of each run.
    """
    n_pairs, generator = settings["pairs"], generator_of("review", settings["seed"])
    scores = read_table(scores_path).query("rule == 'matched'")
    everything = pd.concat([_calls(run, paths, scores) for run, paths in zip(runs, files, strict=True)])
    tables = []
    for _, of_detector in everything.groupby(["dataset", "detector"], sort=False):
        calls = [of_detector[of_detector["called"] == called] for called in (True, False)]
        first = min(len(calls[0]), max(n_pairs - n_pairs // 2, n_pairs - len(calls[1])))
        for of_call, n in zip(calls, (first, n_pairs - first), strict=True):
            tables.append(of_call.sample(min(n, len(of_call)), random_state=generator).assign(of_call=len(of_call)))
    key = pd.concat(tables).sample(frac=1, random_state=generator).reset_index(drop=True)
    key.insert(0, "pair", np.arange(1, len(key) + 1))
    by_run = {tuple(run[name] for name in RUN): paths for run, paths in zip(runs, files, strict=True)}
    sheets: dict[tuple[int, ...], list[tuple]] = {}
    for row in key.itertuples(index=False):
        paths = by_run[tuple(getattr(row, name) for name in RUN)]
        pair = [read_array(paths["samples"])[-1][row.sample], read_array(paths["images"])[row.row]]
        generator.shuffle(pair)
        sheets.setdefault(pair[0].shape, []).append((row.pair, *pair))
    write_table(key, key_path)
    write_table(key[["pair"]].assign(answer=""), answers_path)
    columns = (zip(*pairs, strict=True) for pairs in sheets.values())
    return [(list(numbers), np.stack(left), np.stack(right)) for numbers, left, right in columns]


def _calls(run: dict, files: dict[str, Path], scores: pd.DataFrame) -> pd.DataFrame:
    of_run = scores[np.logical_and.reduce([scores[name] == run[name] for name in RUN])]
    tau = of_run.loc[of_run["epoch"].idxmax(), "tau"]
    arrays = read_arrays(files["nearest"])
    similarity, row = (arrays[f"synthetic_to_train_{column}"][-1, :, 0] for column in ("similarity", "index"))
    table = pd.DataFrame({"sample": np.arange(len(row)), "row": row, "called": similarity > tau})
    return table.assign(**{name: run[name] for name in RUN})


def judge_detectors(answers_path: Path, key_path: Path) -> pd.DataFrame:
    """Error rates by people's answers: dataset, detector, sensitivity, n_known, false_positive_rate, n_negatives,
    n_unsure.

    sensitivity: share of copies, by the answers, that the detector called copies; false_positive_rate: the same share
    of the others. Both weight a call's answers by the number of its samples. Raises ValueError for an answer that isn't
    one of `ANSWERS` and for a pair that isn't in the key; pairs without an answer don't count.
    """
    answers = read_given(answers_path)
    given = answers["answer"].fillna("").astype(str).str.strip().str.lower()
    wrong = given[~given.isin((*ANSWERS, ""))]
    if len(wrong):
        pair = answers["pair"][wrong.index[0]]
        raise ValueError(f"{answers_path}: pair {pair} has answer '{wrong.iloc[0]}'; write {', '.join(ANSWERS)}")
    key = read_table(key_path).set_index("pair")
    unknown = set(answers["pair"]) - set(key.index)
    if unknown:
        raise ValueError(f"{answers_path}: pair {min(unknown)} isn't on the sheet; there are {len(key)} pairs")
    answered = key.loc[answers["pair"]].assign(answer=given.to_numpy())
    rows = []
    for (dataset, detector), of_detector in answered.groupby(["dataset", "detector"], sort=False):
        clear = of_detector[of_detector["answer"].isin(["copy", "other"])]
        if not len(clear):
            continue
        # A clear answer stands for so many samples of its call.
        weight = clear["of_call"] / clear.groupby("called")["called"].transform("size")
        is_copy = clear["answer"] == "copy"
        rows.append(
            {
                "dataset": dataset,
                "detector": detector,
                "sensitivity": _share(clear["called"], weight, is_copy),
                "n_known": int(is_copy.sum()),
                "false_positive_rate": _share(clear["called"], weight, ~is_copy),
                "n_negatives": int((~is_copy).sum()),
                "n_unsure": int((of_detector["answer"] == "unsure").sum()),
            }
        )
    columns = ["dataset", "detector", "sensitivity", "n_known", "false_positive_rate", "n_negatives", "n_unsure"]
    return pd.DataFrame(rows, columns=columns)


def _share(called: pd.Series, weight: pd.Series, subset: pd.Series) -> float:
    return float(np.average(called[subset], weights=weight[subset])) if subset.any() else np.nan
