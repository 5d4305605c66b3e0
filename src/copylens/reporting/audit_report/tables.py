"""The tables of the reports, as text: the same in the page and in the PDF."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from copylens.reporting.audit_report import annex, glossary
from copylens.reporting.audit_report.numbers import (
    UNKNOWN,
    hundredths,
    interval_of,
    known,
    measured,
    name_of,
    number,
    plain,
    share,
)

OUTCOMES = {"pass": "pass", "fail": "fail", "unable": "not able to say"}
AT_LEAST = {"sensitivity"}
AT_MOST = {"kind", "calibration_size", "held_out", "copies", "patients", "control_rate", "shift"} | {
    *("membership", "membership_samples", "linkability", "inference", "consistency")
}
MEASURED = {
    "kind": " misoriented",
    "held_out": " of samples",
    "consistency": " differ",
}  # follows a share that isn't clear without it
# Of a limit that isn't the policy's: where it is from.
FROM = {"kind": " in every audit", "shift": ", lower end", "held_out": ", as many as chance has"}
WHY = ("copy", "identical file", "held-out image")  # reasons to flag a sample
RISKS = {
    "singling_out": ("Singling out", "a sample is called a copy of a patient; naive: another patient's image is"),
    "linkability": (
        "Linkability",
        "both halves of a patient's image lead to the same sample; naive: halves of two patients",
    ),
    "inference": (
        "Inference",
        "the sample that one half of a patient's image leads to shows the other half; naive: another patient's does",
    ),
}
COUNTS = (
    ("training", "The generator was trained on these"),
    ("calibration", "Real, of other patients: they set the thresholds"),
    ("control", "Real, of yet other patients: they give the false positive rate"),
    ("synthetic", "The set that is to be released"),
)


@dataclass(frozen=True)
class Table:
    """Cells of text, row by row; `numbers` are the columns to align on the right, `widths` shares of the page's."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: tuple[int, ...]
    widths: tuple[float, ...]


def lines_table(verdict: dict) -> Table:
    rows = [
        (OUTCOMES[line["outcome"]], line["question"], *_value_and_limit(line, verdict), line["explanation"])
        for line in verdict["lines"]
    ]
    columns = ("Outcome", "Question", "Measured", "Limit", "Explanation")
    caption = f"The policy's limits and the measured values, with {share(verdict['policy']['level'])} intervals."
    return Table(caption, columns, rows, (2, 3), (0.09, 0.23, 0.13, 0.12, 0.43))


def _value_and_limit(line: dict, verdict: dict) -> tuple[str, str]:
    """The measured value, and the policy's limit."""
    if line["unit"] == "count":
        counts = verdict["counts"]
        held_out = counts.get("calibration_images"), counts.get("control_images")
        things = {
            "agreement": (len(verdict["rule"]["detectors"]), "detectors"),
            "apart": (sum(held_out) if all(map(known, held_out)) else None, "held-out images"),
        }
        n, counted = things.get(line["name"], (counts["synthetic_images"], "samples"))
        return f"{number(line['value'])} of {number(n)} {counted}", "none"
    show = share if line["unit"] == "share" else hundredths
    bound = "at least " if line["name"] in AT_LEAST else "at most " if line["name"] in AT_MOST else ""
    with_interval = measured(line["value"], line["low"], line["high"], line["unit"])
    return (
        f"{with_interval}{MEASURED.get(line['name'], '')}",
        f"{bound}{show(line['limit'])}{FROM.get(line['name'], '')}",
    )


def counts_table(verdict: dict) -> Table:
    counts = verdict["counts"]
    rows = [
        (name, number(counts.get(f"{name}_images")), number(counts.get(f"{name}_patients")), meaning)
        for name, meaning in COUNTS
    ]
    different = counts.get("different_synthetic_images")
    if known(different) and different < counts["synthetic_images"]:
        rows[-1] = (*rows[-1][:3], f"{rows[-1][3]}; {number(different)} of them differ, the others repeat these")
    rows = [
        (name, images, "–" if name == "synthetic" else patients, meaning) for name, images, patients, meaning in rows
    ]
    columns = ("Set", "Images", "Patients", "Description")
    return Table("The four sets of images.", columns, rows, (1, 2), (0.15, 0.12, 0.12, 0.61))


def policy_table(verdict: dict) -> Table:
    """The policy's settings."""
    policy = verdict["policy"]
    rows = [
        ("Samples that may be copies", f"at most {share(policy['copies'])}"),
        ("Training patients who may be exposed", f"at most {share(policy['patients'])}"),
        ("Planted copies that must be found", f"at least {share(policy['sensitivity'])}"),
        ("False positive rate of a detector, in the worst case", f"at most {share(policy['false_positives'])}"),
        (
            "Area under the curve of the membership test by the samples",
            f"at most {hundredths(policy['membership_samples'])}",
        ),
        ("Residual risk of linkability and of inference", f"at most {share(policy['disclosure'])}"),
        (
            "Area under the curve of the membership test by the weights, if these are tested",
            f"at most {hundredths(policy['membership'])}",
        ),
        ("Intervals", share(policy["level"])),
    ]
    return Table("What this audit's policy asks for.", ("Demand", "Value"), rows, (1,), (0.6, 0.4))


def detectors_table(verdict: dict) -> Table:
    rows = [
        (
            name_of(row["detector"]),
            number(row["tau"]) if known(row["tau"]) else "–",
            *(interval_of(row, name) for name in ("called", "control_rate")),
            share(row["sensitivity"]),
            interval_of(row, "true_copies") if known(row["true_copies_high"]) else UNKNOWN,
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
        "Each detector by itself, and both rules; the last one decides. Corrected: for missed copies and false "
        "positives. A rarer "
        f"threshold is one that {share(verdict['rule']['rare'])} of new patients' images pass; its correction takes "
        "the transforms under which the detector is sensitive enough there, and without any there is no number."
    )
    return Table(caption, columns, rows, (1, 2, 3, 4, 5, 6), (0.15, 0.09, 0.15, 0.15, 0.09, 0.14, 0.14, 0.09))


def compared_table(verdict: dict) -> Table:
    """What each detector compares, in words."""
    names = [name for name in (row["detector"] for row in verdict["detectors"]) if name in glossary.DETECTORS]
    rows = [(name_of(name), glossary.DETECTORS[name]) for name in names]
    return Table("What each detector compares.", ("Detector", "Compares"), rows, (), (0.25, 0.75))


def words_table() -> Table:
    """The glossary."""
    return Table("Words of this report.", ("Word", "Meaning"), glossary.WORDS, (), (0.2, 0.8))


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
        *("Transform", "Description", "Planted", "Found by the rule"),
        *(f"by {name_of(name)} alone" for name in detectors),
    )
    caption = "Planted copies, and the share of them that is found."
    rest = 0.36 / len(detectors)
    widths = (0.16, 0.21, 0.09, 0.18, *[rest] * len(detectors))
    return Table(caption, columns, rows, tuple(range(2, len(columns))), widths)


def risks_table(verdict: dict) -> Table:
    """The three risks of WP216."""
    found = verdict["disclosure"]
    rows = [
        (
            title,
            attack,
            *(share(found[name][rate]) for rate in ("training", "control", "naive")),
            _residual(found[name]),
        )
        for name, (title, attack) in RISKS.items()
        if found[name]
    ]
    caption = (
        "The three risks of the Article 29 Working Party's Opinion 05/2014. Residual risk: what an attack finds of "
        "training patients beyond what it finds of control patients (for singling out: held-out ones)."
    )
    columns = ("Risk", "The attack succeeds where", "Training", "Control", "Naive guess", "Residual risk")
    return Table(caption, columns, rows, (2, 3, 4, 5), (0.13, 0.35, 0.11, 0.11, 0.12, 0.18))


def _residual(risk: dict) -> str:
    warned = risk["training"] <= risk["naive"]
    return interval_of(risk, "residual") + ("; not better than the naive guess" if warned else "")


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
    columns = ("Column", "Value", "Training patients", "Named", "Share named")
    usual = ", at the usual thresholds" if known(verdict["exposure"]["rate"]) else ""
    caption = (
        f"Training patients named by at least one sample{usual}, rightly or by chance. Counts of 1 to 4 are hidden (–)."
    )
    return Table(caption, columns, rows, (2, 3, 4), (0.18, 0.32, 0.16, 0.12, 0.22))


def alike_table(alike: list[tuple[str, str, str]]) -> Table:
    """Held-out patients like training patients: (patient, role, training patient)."""
    rows = [tuple(plain(text) for text in row) for row in alike]
    caption = "Held-out patients with an image more similar to a training patient's than chance explains."
    return Table(caption, ("Held-out patient", "Role", "Similar training patient"), rows, (), (0.4, 0.2, 0.4))


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


def annex_table(verdict: dict) -> Table:
    """Each line beside the frameworks that ask for it."""
    rows = [
        (
            line["question"],
            *annex.LINES[line["name"]][:2],
            _value_and_limit(line, verdict)[1],
            annex.LINES[line["name"]][2],
        )
        for line in verdict["lines"]
    ]
    columns = ("Line", "Risk (WP216)", "Disclosure (consensus)", "Limit", "Why the default limit is what it is")
    caption = "Each line of the verdict beside two frameworks."
    return Table(caption, columns, rows, (), (0.27, 0.12, 0.13, 0.13, 0.35))


def provenance_table(verdict: dict) -> Table:
    provenance = verdict["provenance"]
    rows = [("copylens", provenance["copylens"]), ("Python", provenance["python"])]
    rows += [(name, str(version)) for name, version in sorted(provenance["libraries"].items())]
    rows += [(f"SHA-256, {name_of(key)}", str(value)) for key, value in provenance["checksums"].items()]
    rows += [(f"Seed, {name_of(key)}", str(value)) for key, value in provenance["seeds"].items()]
    return Table("Software, files and seeds behind this report.", ("Item", "Value"), rows, (), (0.28, 0.72))


def _yes(values: pd.Series) -> list[str]:
    return ["yes" if value else "no" for value in values.astype(bool)]


def _texts(values: pd.Series) -> list[str | None]:
    return [None if pd.isna(value) else plain(str(value)) for value in values]
