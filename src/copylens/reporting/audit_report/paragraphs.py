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
    False: "The weights break the policy: do not release them. There isn't enough to say about the synthetic set.",
}
RESTRICTED = "RESTRICTED: shows patients"
RELEASED = "restricted/rest/files"
WHOM = "The file patients.tsv beside this report has the patients' own ids and files."
LYING = ("sample", "sample in its best orientation", "nearest training image then")
SIGNED_BY = ("Name and role", "Institution", "Date", "Signature")
ABOUT_PLANTED = (
    "Copies of training images were planted, each changed in one of these ways. The share that the rule finds is its "
    "sensitivity."
)
# What an attack on weights measures (`copylens.auditing.membership`), and at which noise levels.
ATTACKS = {
    "loss": "the loss",
    "middle": "the loss in the middle spatial frequencies",
    "norm": "the noise found in the image itself",
}
LEVELS = {
    "all": "at all noise levels",
    "least": "at the lowest noise levels",
    "little": "at low noise levels",
    "medium": "at middle noise levels",
    "much": "at high noise levels",
}
# Below the figures, by name.
CAPTIONS = {
    "sensitivity": (
        "Planted copies found. Filled: the whole rule, with its interval. Hollow: each detector alone. Dashed: the "
        "policy's lower limit."
    ),
    "exposure": (
        "Training patients exposed by the number of samples drawn at random, corrected, with the interval. Dashed: the "
        "policy's limit. Dotted: patients that ever more samples would name."
    ),
}
NOT_BROKEN_DOWN = "Not broken down: nothing is known about the patients but their images."
PUBLIC_SAMPLES = (
    "The file samples.csv lists which are withheld. This report has no other details of single samples: their "
    "similarities would reveal to anyone with a patient's image and the samples whether the patient was trained on."
)


def sentence_of(verdict: dict) -> str:
    """The verdict in a sentence, for the banner."""
    failed = [line["name"] for line in verdict["lines"] if line["outcome"] == "fail"]
    if failed == ["membership"]:
        return ONLY_WEIGHTS[all(line["outcome"] != "unable" for line in verdict["lines"])]
    return VERDICTS[verdict["verdict"]][1]


def release_words(samples: pd.DataFrame, may: bool, digest: str | None = None) -> str:
    """What may be released, if anything may, and where it lies. digest: SHA-256 of the folder's SHA256SUMS."""
    if not may:
        return "Nothing: this audit gives no ground to release any of the samples."
    n_left = int((~samples["withheld"].astype(bool)).sum())
    words = f"The {number(n_left)} samples in the folder {RELEASED} and no others, once the report is signed."
    if digest is None:
        return words
    return (
        f"{words} The SHA-256 of its file SHA256SUMS is {digest}, the folder's fingerprint; the command "
        "copylens verify compares a folder with this report."
    )


def signature_words(verdict: dict) -> str:
    """What is signed."""
    weights = "" if verdict["membership"] else " The generator's weights were not tested."
    return (
        f"I have read this report and its limits.{weights} I decide to release "
        "\N{BALLOT BOX}\N{NO-BREAK SPACE}what this page allows, \N{BALLOT BOX}\N{NO-BREAK SPACE}nothing."
    )


def exposure_words(verdict: dict) -> list[str]:
    """The exposure curve in sentences."""
    exposure = verdict["exposure"]
    named, within = exposure["named_patients"], exposure["within_policy"]
    n, patients = verdict["counts"]["synthetic_images"], verdict["counts"]["training_patients"]
    line = next(line for line in verdict["lines"] if line["name"] == "patients")
    corrected = (
        "Corrected for sensitivity and false positive rate, "
        f"{measured(line['value'], line['low'], line['high'])} are exposed; the policy allows {share(line['limit'])}."
    )
    of_all = f"{number(named)} of {number(patients)} training patients"
    if not known(exposure["rate"]):
        sentences = [f"Samples that are called copies name {of_all}. {corrected}"]
    else:
        sentences = [
            "So many samples would name many patients by chance. So patients are counted at rarer thresholds, which "
            f"{share(exposure['rate'])} of new patients' images pass. Samples that are called copies at these "
            f"thresholds name {of_all}. {corrected}",
            "Samples are flagged at the usual thresholds, and may name more patients.",
        ]
    if line["outcome"] == "pass":
        sentences.append(f"All {number(n)} samples keep within that limit.")
    elif known(within) and within > 0:
        sentences.append(
            f"{number(within)} samples, drawn at random, would surely keep within that limit, but the share of copies "
            "among them would be the same, so that this permits nothing."
        )
    else:
        sentences.append("No number of samples, drawn at random, would surely keep within that limit.")
    if not named:
        sentences.append("No patient is named, so there is no estimate for more samples.")
    else:
        sentences.append(
            f"Ever more samples would name at least about {interval_of(exposure, 'chao1', 'count')} patients"
            f"{' at these thresholds' if known(exposure['rate']) else ''}, by chance or as copies (Chao's estimate of "
            "1984)."
        )
    return sentences


def quarantine_words(verdict: dict) -> list[str]:
    """The quarantine in sentences."""
    quarantine = verdict["quarantine"]
    if quarantine is None:
        return [
            "No quarantine is needed: the whole set passes. The folder of the rest leaves out flagged samples all the "
            "same, because that costs nothing."
        ]
    return [
        "A sample is withheld if the rule calls it a copy, if it equals a real image pixel by pixel, or if it is more "
        f"similar to a training image than {number(quarantine['percentile'])} % of held-out images are, under "
        f"{'' if len(quarantine['detectors']) == 1 else 'one of '}{listed(quarantine['detectors'])}.",
        f"{number(quarantine['withheld'])} samples are withheld, {number(quarantine['released'])} are left.",
        f"Copies among those that are left: {interval_of(quarantine, 'residual')}.",
        f"The verdict on those that are left: {quarantine['verdict']}.",
        *quarantine["reasons"],
    ]


def disclosure_words(verdict: dict) -> list[str]:
    """The attacks with the samples in sentences."""
    found = verdict["disclosure"]
    attack, test, shift = found["attack"], found["membership"], found["shift"]
    sentences = []
    if test is None:
        sentences.append("There are too few samples for an attack with them.")
    else:
        whom = f"{number(test['n_members'])} training images and {number(test['n_others'])} control images"
        sentences += [
            "Anyone with the samples and an image can guess from the samples near it whether it was trained on. Each "
            f"image is compared along {number(attack['components'])} principal components of the samples, "
            + ("relative to the calibration images near it" if attack["relative"] else "by nearness alone")
            + f"; calibration images chose this attack. The guess was made for {whom}.",
            f"Area under the curve: {interval_of(test, 'auc', '')}; 0.5 is chance.",
            f"Training images found at a false positive rate of 1 %: {interval_of(test, 'tpr_at_1fpr')}; of 5 %: "
            f"{interval_of(test, 'tpr_at_5fpr')}.",
        ]
    if shift is not None:
        sentences.append(
            "A classifier that sees no sample separates training from held-out patients with an area under the curve "
            f"of {interval_of(shift, 'auc', '')}. Far above 0.5 they would come from other scanners or protocols, and "
            "no attack would say anything."
        )
    if found["unseen"] is not None:
        sentences.append(
            "With calibration images in the place of the samples, nearness separates training from control patients "
            f"with {interval_of(found['unseen'], 'auc', '')}."
        )
    return sentences


def membership_words(verdict: dict) -> list[str]:
    """The membership test of the weights in sentences."""
    test = verdict["membership"]
    if test is None:
        return [
            "Membership inference from the generator's weights was not tested. This report is about the synthetic "
            "images and doesn't cover a release of the weights."
        ]
    attack = test["attack"]
    return [
        "Anyone with the generator's weights and an image can guess from how well it is denoised whether it was "
        f"trained on. Of several attacks calibration images chose one: {ATTACKS[attack['error']]}, "
        f"{LEVELS[attack['levels']]}{', relative to what such images usually have' if attack['calibrated'] else ''}. "
        f"It was made on {number(test['n_members'])} training images and {number(test['n_others'])} control images.",
        f"Area under the curve: {interval_of(test, 'auc', '')}; 0.5 is chance. The interval counts the choice.",
        f"Training images found at a false positive rate of 1 %: {interval_of(test, 'tpr_at_1fpr')}; 1 % is chance.",
        f"If the samples are released and the weights are not, the verdict is {verdict['samples_alone']}.",
    ]


def by_chance(verdict: dict) -> str:
    """The number of samples that the rule would call copies under the null, in a sentence."""
    control = verdict["detectors"][-1]["control_rate"]
    if not known(control):
        return "The number expected by chance is not known."
    n = verdict["counts"]["synthetic_images"] * control
    return f"If none were copies, about {number(round(n))} would be called so, by the control rate."


def about_similarities(public: bool) -> str:
    """What the figures of similarities show."""
    what = (
        f"The similarity of {'images' if public else 'each image'} to {'their' if public else 'its'} nearest training "
        "image. Other patients' images (calibration, control) belong on the left of the threshold, planted copies on "
        "its right."
    )
    if not public:
        return what
    return (
        f"{what} Shares are whole per cents of each group, in bands that end at the calibration images' median, their "
        "80th percentile and the threshold."
    )


def flagged(samples: pd.DataFrame) -> pd.Series:
    """Samples that the rule calls copies, or that equal real images pixel by pixel."""
    return samples[["copy", "identical", "held_out"]].astype(bool).any(axis=1)


def samples_words(verdict: dict, samples: pd.DataFrame) -> list[str]:
    """How many samples are withheld, and how many calls chance explains, in sentences."""
    called = verdict["detectors"][-1]["called"]
    return [
        f"{number(int(samples['withheld'].astype(bool).sum()))} of {number(len(samples))} samples are withheld.",
        f"The rule calls {share(called)} of samples copies. {by_chance(verdict)}",
    ]


def pair_numbers(samples: pd.DataFrame, pairs: Iterable[int], detector: str) -> list[int]:
    """Samples called copies that there is a pair of, the most alike under `detector` first."""
    # A sample that only equals a held-out image is no copy of its nearest training image.
    copies = samples[(samples["copy"] | samples["identical"]).astype(bool) & samples["sample"].isin(list(pairs))]
    return copies.sort_values(f"similarity_{detector}", ascending=False, kind="stable")["sample"].tolist()


def pair_words(row: pd.Series) -> str:
    """The caption of a pair: the similarity by the detector that names the patient, and the patient."""
    detector = row["named_by"]
    patient = row[f"patient_{detector}"]
    whose = UNKNOWN if pd.isna(patient) else plain(str(patient))
    return f"{name_of(detector)} {number(row[f'similarity_{detector}'])} · patient {whose}"
