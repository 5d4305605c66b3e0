"""The sentences of the reports: the same in the page and in the PDF."""

from collections.abc import Iterable

import pandas as pd

from copylens.reporting.audit_report.numbers import (
    UNKNOWN,
    interval_of,
    known,
    measured,
    name_of,
    number,
    plain,
    share,
)
from copylens.reporting.sentences import listed

VERDICTS = {
    "PASS": ("pass", "The synthetic set keeps within the policy."),
    "FAIL": ("fail", "The synthetic set breaks the policy: do not release it as it is."),
    "NOT ABLE TO SAY": ("unable", "There isn't enough to say whether the synthetic set keeps within the policy."),
}
ONLY_WEIGHTS = {
    True: "The weights break the policy: do not release them. The synthetic set keeps within it.",
    False: "The weights break the policy: do not release them. Of the synthetic set there isn't enough to say.",
}
RESTRICTED = "RESTRICTED: shows patients"
LYING = ("sample, as it lies", "sample, as it fits best", "training image most like it then")
PUBLIC_SAMPLES = (
    "The file samples.csv lists which are withheld. Nothing more is said of single samples: to somebody who has a "
    "patient's image and the samples, their similarities would tell whether the patient was trained on."
)


def sentence_of(verdict: dict) -> str:
    """What the verdict's word means, for the banner."""
    failed = [line["name"] for line in verdict["lines"] if line["outcome"] == "fail"]
    if failed == ["membership"]:
        return ONLY_WEIGHTS[all(line["outcome"] != "unable" for line in verdict["lines"])]
    return VERDICTS[verdict["verdict"]][1]


def exposure_words(verdict: dict) -> list[str]:
    """What the exposure curve comes to, in sentences."""
    exposure = verdict["exposure"]
    named, within = exposure["named_patients"], exposure["within_policy"]
    n, patients = verdict["counts"]["synthetic_images"], verdict["counts"]["training_patients"]
    line = next(line for line in verdict["lines"] if line["name"] == "patients")
    corrected = (
        f"Corrected for what is missed and for whom chance names, {measured(line['value'], line['low'], line['high'])} "
        f"are exposed; the policy allows {share(line['limit'])}."
    )
    of_all = f"{number(named)} of {number(patients)} training patients"
    if not known(exposure["rate"]):
        sentences = [f"Samples that are called copies name {of_all}. {corrected}"]
    else:
        sentences = [
            "So many samples would name many by chance. So patients are counted at rarer thresholds, which "
            f"{share(exposure['rate'])} of new patients' images pass: samples that two detectors call copies there "
            f"name {of_all}. {corrected}",
            "That may be fewer patients than samples are flagged for, which is by the usual thresholds.",
        ]
    if line["outcome"] == "pass":
        sentences.append(f"So all {number(n)} samples keep within that.")
    elif known(within) and within > 0:
        sentences.append(
            f"{number(within)} samples, drawn at random, would surely keep within that, but as large a share of them "
            "would be copies."
        )
    else:
        sentences.append("No number of samples, drawn at random, would surely keep within that.")
    if not named:
        sentences.append("Nobody is named, so nothing can be said of whom more samples would name.")
    else:
        sentences.append(
            f"Were ever more samples drawn, at least about {interval_of(exposure, 'chao1', 'count')} patients would be "
            f"named{' at these thresholds' if known(exposure['rate']) else ''}, by chance or as copies (Chao1)."
        )
    return sentences


def quarantine_words(verdict: dict) -> list[str]:
    """What withholding the samples nearest to training images comes to, in sentences."""
    quarantine = verdict["quarantine"]
    if quarantine is None:
        return [
            "No quarantine is needed: the set passes as it is. What is flagged is left out of the folder of the rest "
            "all the same, because that costs nothing."
        ]
    return [
        "Withheld is what the rule calls a copy, what is pixel by pixel a real image, and what is more alike to a "
        f"training image than {number(quarantine['percentile'])} % of calibration images are, as "
        f"{listed(quarantine['detectors'])} {'has' if len(quarantine['detectors']) == 1 else 'have'} it.",
        f"{number(quarantine['withheld'])} samples are withheld, {number(quarantine['released'])} are left.",
        f"Copies among those that are left: {interval_of(quarantine, 'residual')}.",
        f"The verdict on those that are left: {quarantine['verdict']}.",
        *quarantine["reasons"],
    ]


def membership_words(verdict: dict) -> list[str]:
    """How well a network's losses tell who was trained on, in sentences."""
    test = verdict["membership"]
    if test is None:
        return [
            "Whether the generator's weights give away who was trained on was not tested. This report is about the "
            "synthetic images and doesn't cover a release of the weights."
        ]
    return [
        f"Somebody who has the generator's weights and an image guesses from its loss whether it was trained on. Tried "
        f"on {number(test['n_members'])} images that were and {number(test['n_others'])} that were not.",
        f"Area under the curve: {interval_of(test, 'auc', '')}; 0.5 is a coin's.",
        f"Members found where 1 % of the others are taken for members: {interval_of(test, 'tpr_at_1fpr')}; 1 % is a "
        "coin's.",
    ]


def by_chance(verdict: dict) -> str:
    """How many samples the rule would call copies if none were."""
    control = verdict["detectors"][-1]["control_rate"]
    if not known(control):
        return "How many would be by chance is not known."
    n = verdict["counts"]["synthetic_images"] * control
    return f"If none were copies, about {number(round(n))} would be called so, as control images are."


def flagged(samples: pd.DataFrame) -> pd.Series:
    """Which samples the rule calls copies, or are pixel by pixel real images."""
    return samples[["copy", "identical", "held_out"]].astype(bool).any(axis=1)


def samples_words(verdict: dict, samples: pd.DataFrame) -> list[str]:
    """How many samples are withheld, and what chance does, in sentences."""
    called = verdict["detectors"][-1]["called"]
    return [
        f"{number(int(samples['withheld'].astype(bool).sum()))} of {number(len(samples))} samples are withheld.",
        f"The rule calls {share(called)} of samples copies. {by_chance(verdict)}",
    ]


def pair_numbers(samples: pd.DataFrame, pairs: Iterable[int], detector: str) -> list[int]:
    """Samples called copies that there is a pair of, the most alike under `detector` first."""
    # What is only a held-out patient's image is no copy of the training image nearest to it.
    copies = samples[(samples["copy"] | samples["identical"]).astype(bool) & samples["sample"].isin(list(pairs))]
    return copies.sort_values(f"similarity_{detector}", ascending=False, kind="stable")["sample"].tolist()


def pair_words(row: pd.Series) -> str:
    """What stands below a pair: how alike its images are, by the detector that names the patient, and who that is."""
    detector = row["named_by"]
    patient = row[f"patient_{detector}"]
    whose = UNKNOWN if pd.isna(patient) else plain(str(patient))
    return f"{name_of(detector)} {number(row[f'similarity_{detector}'])} · patient {whose}"
