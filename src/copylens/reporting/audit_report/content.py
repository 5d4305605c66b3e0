"""What the reports of an audit say, as sentences and tables of text: the same in the page and in the PDF."""

import math
from dataclasses import dataclass

import pandas as pd

from copylens.reporting.audit_report import glossary
from copylens.reporting.sentences import listed

UNKNOWN = "not known"
PERCENT = "\N{NO-BREAK SPACE}%"
OUTCOMES = {"pass": "pass", "fail": "fail", "unable": "not able to say"}
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
AT_LEAST = {"sensitivity"}
AT_MOST = {"kind", "calibration_size", "held_out", "copies", "patients", "control_rate", "membership"}
MEASURED = {"kind": " lie otherwise", "held_out": " of samples"}  # what shares are of, where that isn't clear
LYING = ("sample, as it lies", "sample, as it fits best", "training image most like it then")
WHY = ("copy", "identical file", "held-out image")  # a sample is flagged
COUNTS = (
    ("training", "The generator was trained on these"),
    ("calibration", "Real, of other patients: they set the thresholds"),
    ("control", "Real, of yet other patients: they show how often the rule is wrong"),
    ("synthetic", "The set that is to be released"),
)


@dataclass(frozen=True)
class Table:
    """Cells of text, row by row; `numbers` are the columns to align on the right, `widths` shares of the page's."""

    caption: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    numbers: tuple[int, ...]
    widths: tuple[float, ...]


def plain(value):
    """The same value, in all its texts what doesn't print (line breaks, controls) written out as an escape."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def sentence_of(verdict: dict) -> str:
    """What the verdict's word means, for the banner."""
    failed = [line["name"] for line in verdict["lines"] if line["outcome"] == "fail"]
    if failed == ["membership"]:
        return ONLY_WEIGHTS[all(line["outcome"] != "unable" for line in verdict["lines"])]
    return VERDICTS[verdict["verdict"]][1]


def share(value: float | None, sign: str = PERCENT) -> str:
    """A share of 1 in per cent, never rounded to 0 or to 100 unless it is."""
    if not known(value):
        return UNKNOWN
    percent = round(100 * value, 1)
    if percent == 0 and value > 0:
        return f"<0.1{sign}"
    if percent == 100 and value < 1:
        return f">99.9{sign}"
    return f"{percent:.1f}".removesuffix(".0") + sign


def number(value: float | None) -> str:
    """Whole numbers as they are, others with four digits."""
    if not known(value):
        return UNKNOWN
    return (f"{value:,.0f}" if value == round(value) else f"{value:.4g}").replace("-", "−")


def count(value: float | None) -> str:
    return f"{value:,.0f}" if known(value) else UNKNOWN


def hundredths(value: float | None) -> str:
    return f"{value:.2f}" if known(value) else UNKNOWN


def measured(value: float | None, low: float | None, high: float | None, unit: str = "share") -> str:
    """A value and, where there is one, its interval."""
    show = {"share": share, "count": count, "": hundredths}[unit]
    if not (known(value) and known(low) and known(high)):
        return show(value)
    return f"{show(value)} ({share(low, '') if unit == 'share' else show(low)} to {show(high)})"


def interval_of(row: dict, name: str, unit: str = "share") -> str:
    return measured(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"), unit)


def name_of(word: str) -> str:
    return word.replace("_", " ")


def lines_table(verdict: dict) -> Table:
    rows = [
        (OUTCOMES[line["outcome"]], line["question"], *_found_and_asked(line, verdict), line["explanation"])
        for line in verdict["lines"]
    ]
    columns = ("Outcome", "Question", "Measured", "Policy", "What that means")
    caption = f"What the policy asks, and what was found. In brackets: {share(verdict['policy']['level'])} intervals."
    return Table(caption, columns, rows, (2, 3), (0.09, 0.25, 0.13, 0.1, 0.43))


def _found_and_asked(line: dict, verdict: dict) -> tuple[str, str]:
    """What was measured, and what the policy asks for."""
    if line["unit"] == "count":
        counts = verdict["counts"]
        held_out = counts.get("calibration_images"), counts.get("control_images")
        things = {
            "agreement": (len(verdict["rule"]["detectors"]), "detectors"),
            "apart": (sum(held_out) if all(map(known, held_out)) else None, "held-out images"),
        }
        n, what = things.get(line["name"], (counts["synthetic_images"], "samples"))
        return f"{number(line['value'])} of {number(n)} {what}", "none"
    show = share if line["unit"] == "share" else hundredths
    bound = "at least " if line["name"] in AT_LEAST else "at most " if line["name"] in AT_MOST else ""
    found = measured(line["value"], line["low"], line["high"], line["unit"])
    return f"{found}{MEASURED.get(line['name'], '')}", f"{bound}{show(line['limit'])}"


def counts_table(verdict: dict) -> Table:
    counts = verdict["counts"]
    rows = [
        (name, number(counts.get(f"{name}_images")), number(counts.get(f"{name}_patients")), what)
        for name, what in COUNTS
    ]
    different = counts.get("different_synthetic_images")
    if known(different) and different < counts["synthetic_images"]:
        rows[-1] = (*rows[-1][:3], f"{rows[-1][3]}; {number(different)} of them differ, the others repeat these")
    rows = [(name, images, "–" if name == "synthetic" else patients, what) for name, images, patients, what in rows]
    columns = ("Set", "Images", "Patients", "What it is")
    return Table("The four sets of images.", columns, rows, (1, 2), (0.15, 0.12, 0.12, 0.61))


def policy_words(verdict: dict) -> list[tuple[str, str]]:
    """(what, its value) of the policy."""
    policy = verdict["policy"]
    return [
        ("Samples that may be copies", f"at most {share(policy['copies'])}"),
        ("Training patients who may be exposed", f"at most {share(policy['patients'])}"),
        ("Planted copies that must be found", f"at least {share(policy['sensitivity'])}"),
        ("False positive rate of a detector, in the worst case", f"at most {share(policy['false_positives'])}"),
        ("Area under the curve of the membership test", f"at most {hundredths(policy['membership'])}"),
        ("Intervals", share(policy["level"])),
    ]


def detectors_table(verdict: dict) -> Table:
    rows = [
        (
            name_of(row["detector"]),
            number(row["tau"]) if known(row["tau"]) else "–",
            *(interval_of(row, name) for name in ("called", "control_rate")),
            share(row["sensitivity"]),
            interval_of(row, "true_copies"),
            interval_of(row["alone"], "true_copies") if row["alone"] else "–",
            OUTCOMES[row["outcome"]],
        )
        for row in ({"tau": None, **row} for row in verdict["detectors"])
    ]
    columns = (
        *("Detector", "Threshold", "Samples called copies", "Control images called copies"),
        *("Planted copies found", "Copies, corrected", "Alone, at a rarer threshold", "Outcome"),
    )
    caption = (
        "Each detector by itself, and two that agree. Corrected: for the copies that the detector misses, and for its "
        f"false positives. At a rarer threshold, which {share(verdict['rule']['rare'])} of new patients' images pass, "
        "it is corrected for the transforms whose copies it finds there; where it finds none, nothing is said."
    )
    return Table(caption, columns, rows, (1, 2, 3, 4, 5, 6), (0.15, 0.09, 0.15, 0.15, 0.09, 0.14, 0.14, 0.09))


def sensitivity_table(verdict: dict) -> Table:
    detectors = verdict["rule"]["detectors"]
    rows = [
        (
            name_of(row["transform"]),
            glossary.TRANSFORMS.get(row["transform"], "–"),
            number(row["n"]),
            measured(row["rule"], row["low"], row["high"]),
            *(share(row["alone"].get(detector)) for detector in detectors),
        )
        for row in verdict["sensitivity"]
    ]
    columns = (
        *("Transform", "What was done", "Planted", "Found by the rule"),
        *(f"by {name_of(name)} alone" for name in detectors),
    )
    caption = "Copies of training images that were planted, and how many were found."
    rest = 0.36 / len(detectors)
    widths = (0.16, 0.21, 0.09, 0.18, *[rest] * len(detectors))
    return Table(caption, columns, rows, tuple(range(2, len(columns))), widths)


def groups_table(verdict: dict) -> Table:
    rows = [
        (
            name_of(row["column"]),
            str(row["value"]),
            number(row["patients"]),
            number(row["named"]) if known(row["named"]) else "–",
            measured(row["share"], row["low"], row["high"]) if known(row["share"]) else "–",
        )
        for row in verdict["groups"]
    ]
    columns = ("Of", "Value", "Training patients", "Named", "Share named")
    usual = ", at the usual thresholds" if known(verdict["exposure"]["rate"]) else ""
    return Table(
        f"Training patients whom at least one sample is called a copy of{usual}, rightly or by chance. Where fewer "
        "than five are, or aren't, the number isn't shown.",
        columns,
        rows,
        (2, 3, 4),
        (0.18, 0.32, 0.16, 0.12, 0.22),
    )


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
        said = [f"Samples that are called copies name {of_all}. {corrected}"]
    else:
        said = [
            "So many samples would name many by chance. So patients are counted at rarer thresholds, which "
            f"{share(exposure['rate'])} of new patients' images pass: samples that two detectors call copies there "
            f"name {of_all}. {corrected}",
            "That may be fewer patients than samples are flagged for, which is by the usual thresholds.",
        ]
    if line["outcome"] == "pass":
        said.append(f"So all {number(n)} samples keep within that.")
    elif known(within) and within > 0:
        said.append(
            f"{number(within)} samples, drawn at random, would surely keep within that, but as large a share of them "
            "would be copies."
        )
    else:
        said.append("No number of samples, drawn at random, would surely keep within that.")
    if not named:
        said.append("Nobody is named, so nothing can be said of whom more samples would name.")
    else:
        said.append(
            f"Were ever more samples drawn, at least about {interval_of(exposure, 'chao1', 'count')} patients would be "
            f"named{' at these thresholds' if known(exposure['rate']) else ''}, by chance or as copies (Chao1)."
        )
    return said


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


PUBLIC_SAMPLES = (
    "The file samples.csv lists which are withheld. Nothing more is said of single samples: to somebody who has a "
    "patient's image and the samples, their similarities would tell whether the patient was trained on."
)


def alike_table(alike: list[tuple[str, str, str]]) -> Table:
    """Held-out patients who look like training patients: who, role, like whom."""
    rows = [tuple(plain(text) for text in row) for row in alike]
    caption = "Held-out patients with an image that chance doesn't make so like a training patient's."
    return Table(caption, ("Held-out patient", "Role", "Like training patient"), rows, (), (0.4, 0.2, 0.4))


def sample_columns(samples: pd.DataFrame, detectors: list[str]) -> tuple[list[dict], list[list]]:
    """The table of samples: columns (group, name, whether numbers), and rows of numbers, texts and None."""
    why = [
        " and ".join(word for word, true in zip(WHY, row, strict=True) if true) or "no"
        for row in samples[["copy", "identical", "held_out"]].itertuples(index=False)
    ]
    columns = [("", "Sample", samples["sample"].astype(int).tolist()), ("", "Flagged", why)]
    columns += [("", "Withheld", _yes(samples["withheld"])), ("", "File", _texts(samples["file"]))]
    for detector in detectors:
        similarity = [float(f"{v:.4g}") if known(v) else None for v in samples[f"similarity_{detector}"]]
        columns += [
            (name_of(detector), "Similarity", similarity),
            (name_of(detector), "Copy", _yes(samples[f"called_{detector}"])),
            (name_of(detector), "Patient", _texts(samples[f"patient_{detector}"])),
        ]
    heads = [{"group": group, "name": name, "number": name in ("Sample", "Similarity")} for group, name, _ in columns]
    return heads, [list(row) for row in zip(*(values for *_, values in columns), strict=True)]


def pair_numbers(samples: pd.DataFrame, pairs: dict, detector: str) -> list[int]:
    """Samples called copies that there is a pair of, the most alike under `detector` first."""
    # What is only a held-out patient's image is no copy of the training image nearest to it.
    chosen = samples[(samples["copy"] | samples["identical"]).astype(bool) & samples["sample"].isin(list(pairs))]
    return chosen.sort_values(f"similarity_{detector}", ascending=False, kind="stable")["sample"].tolist()


def pair_words(row: pd.Series) -> str:
    """What stands below a pair: how alike its images are, by the detector that names the patient, and who that is."""
    detector = row["named_by"]
    patient = row[f"patient_{detector}"]
    whose = UNKNOWN if pd.isna(patient) else plain(str(patient))
    return f"{name_of(detector)} {number(row[f'similarity_{detector}'])} · patient {whose}"


def provenance_table(verdict: dict) -> Table:
    provenance = verdict["provenance"]
    rows = [("copylens", provenance["copylens"]), ("Python", provenance["python"])]
    rows += [(name, str(version)) for name, version in sorted(provenance["libraries"].items())]
    rows += [(f"SHA-256, {name_of(key)}", str(value)) for key, value in provenance["checksums"].items()]
    rows += [(f"Seed, {name_of(key)}", str(value)) for key, value in provenance["seeds"].items()]
    return Table("What made this report, and of what.", ("What", "Value"), rows, (), (0.28, 0.72))


def _yes(values: pd.Series) -> list[str]:
    return ["yes" if value else "no" for value in values.astype(bool)]


def _texts(values: pd.Series) -> list[str | None]:
    return [None if pd.isna(value) else plain(str(value)) for value in values]
