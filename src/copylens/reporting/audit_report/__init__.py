"""The reports of an audit: report.html, one file that needs no network, and report.pdf, the same in short to sign.

The public edition shows no image, names no file and has no number of a single sample: anyone with a patient's image
could learn from such a number whether the patient was trained on. The restricted one shows flagged samples beside
patients.
"""

import base64
import hashlib
import io
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import yaml
from matplotlib.image import imsave

from copylens.jobs.files import whole
from copylens.reporting.audit_report import annex, bands, charts, numbers, paragraphs, pdf, tables
from copylens.reporting.figures.copy_pairs import DIFFERENCE
from copylens.reporting.page import house_style

EDITIONS = ("public", "restricted")
MAX_PAIRS = 60
MAX_SIDE = 256  # pixels; of an image in the page
GREY = {"cmap": "gray", "vmin": 0, "vmax": 1}
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Restricted:
    """The content of the restricted edition alone. Images are [H, W] or [D, H, W] in [0, 1]."""

    pairs: dict[int, tuple[np.ndarray, np.ndarray]]  # by sample's number: the sample and its nearest training image
    # A misoriented sample, the sample in its best orientation, and its nearest training image then.
    lying: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    alike: list[tuple[str, str, str]]  # held-out patients like training patients: (patient, role, training patient)


def write_report(
    verdict: dict,
    samples: pd.DataFrame,
    scores: dict[str, dict[str, np.ndarray]] | dict[str, dict[str, list[float | None]]],
    restricted: Restricted | None,
    edition: str,
    sums: str | None,
    folder: Path,
) -> None:
    """Write both reports of an audit, report.html and report.pdf, into `folder`; the same results give the same bytes.

    verdict: the content of verdict.json. Any of its numbers may be None or NaN.
    samples: one row per synthetic image; sample (from 1) and withheld, in the restricted edition also copy, identical,
        held_out, named_by (the detector that names the patient), file, and for each of the rule's detectors
        similarity_, called_ and patient_<detector>.
    scores: of each detector, of the groups synthetic, calibration, control and planted, the similarities [n] to their
        nearest training image; in the public edition their shares by band (`copylens.reporting.audit_report.bands`).
    restricted: None in the public edition.
    edition: public or restricted.
    sums: SHA-256 of SHA256SUMS in the folder of the samples that may be released; None where none may.

    Raises ValueError for an unknown edition, a public one with other data than these, and missing columns.
    """
    _check(samples, scores, restricted, edition, verdict["rule"]["detectors"])
    verdict = numbers.plain(verdict)
    n_pairs = 0
    if restricted:
        shown = paragraphs.pair_numbers(samples, restricted.pairs, verdict["rule"]["detectors"][0])
        restricted = replace(restricted, pairs={number: restricted.pairs[number] for number in shown[:MAX_PAIRS]})
        n_pairs = len(shown)
    released = paragraphs.release_words(samples, sums is not None, sums)
    page = _page(verdict, samples, scores, restricted, n_pairs, released)
    with whole(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    pdf.write_pdf(verdict, samples, scores, restricted, n_pairs, released, folder / "report.pdf")


def _check(
    samples: pd.DataFrame, scores: dict, restricted: Restricted | None, edition: str, detectors: list[str]
) -> None:
    if edition not in EDITIONS:
        raise ValueError(f"edition: {edition} is none of {', '.join(EDITIONS)}")
    columns = ["sample", "withheld"]
    if edition == "public":
        if restricted is not None:
            raise ValueError("a public report holds no images and no patients: set restricted to None")
        more = [column for column in samples if column not in columns]
        if more:
            raise ValueError(f"a public report holds no {more[0]}: give it the columns sample and withheld alone")
        for groups in scores.values():
            if any(len(shares) != len(bands.BOUNDS) + 1 for shares in groups.values()):
                raise ValueError("a public report holds no similarities: give it shares by band")
    else:
        if restricted is None:
            raise ValueError("a restricted report shows pairs: restricted can't be None")
        columns += ["copy", "identical", "held_out", "named_by", "file"]
        columns += [f"{column}_{name}" for name in detectors for column in ("similarity", "called", "patient")]
    missing = [column for column in columns if column not in samples]
    if missing:
        raise ValueError(f"samples: missing columns {', '.join(missing)}")


def _page(
    verdict: dict, samples: pd.DataFrame, scores: dict, restricted: Restricted | None, n_pairs: int, released: str
) -> str:
    """The web page; without a script where there is no table of samples."""
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(HERE),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html").render(
        verdict=verdict,
        restricted=restricted is not None,
        released=released,
        paragraphs=paragraphs,
        numbers=numbers,
        tables=tables,
        sources=annex.SOURCES,
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        figures=_figures(verdict, scores, restricted is None),
        samples_words=paragraphs.samples_words(verdict, samples),
        config=yaml.safe_dump(verdict["provenance"]["config"], sort_keys=True, allow_unicode=True),
        **(_restricted_values(verdict, samples, restricted, n_pairs) if restricted else {}),
    )


def _restricted_values(verdict: dict, samples: pd.DataFrame, restricted: Restricted, n_pairs: int) -> dict:
    """The template's values of the restricted edition alone: the table of samples with its script, and images."""
    script = (HERE / "report.js").read_text(encoding="utf-8")
    columns, rows = tables.sample_columns(samples, verdict["rule"]["detectors"])
    limit = charts.difference_limit(restricted.pairs)
    return {
        "script": script,
        "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "columns": columns,
        "data": json.dumps({"columns": columns, "rows": rows}, allow_nan=False).replace("<", "\\u003c"),
        "n_flagged": int(paragraphs.flagged(samples).sum()),
        "pairs": [_pair(number, samples, images, limit) for number, images in restricted.pairs.items()],
        "limit": numbers.number(limit),
        "n_pairs": n_pairs,
        "lying": [
            (name, _png(charts.flat(image), **GREY))
            for name, image in zip(paragraphs.LYING, restricted.lying or (), strict=False)
        ],
        "lying_volume": restricted.lying is not None and restricted.lying[0].ndim == 3,
        "alike": tables.alike_table(restricted.alike) if restricted.alike else None,
    }


def _figures(verdict: dict, scores: dict, public: bool) -> dict:
    """The figures as SVG: similarities (one per detector), sensitivity and exposure."""
    taus = {row["detector"]: row.get("tau") for row in verdict["detectors"]}
    similarities = []
    for number, name in enumerate(verdict["rule"]["detectors"], 1):
        groups, tau = scores.get(name, {}), taus.get(name)
        if public:
            draw, text = partial(charts.shares, detector=name, groups=groups), bands.sentence(groups)
        else:
            draw = partial(charts.histogram, detector=name, groups=groups, tau=tau)
            text = charts.histogram_words(groups, tau)
        title = f"Similarities under {numbers.name_of(name)}"
        similarities.append(charts.as_svg(f"similarities-{number}", charts.HISTOGRAM, draw, title, text))
    sensitivity = charts.as_svg(
        "sensitivity",
        charts.sensitivity_height(verdict),
        partial(charts.sensitivity, verdict=verdict),
        "Planted copies found",
        "The table beside this figure has its numbers.",
    )
    exposure = charts.as_svg(
        "exposure",
        charts.EXPOSURE,
        partial(charts.exposure, verdict=verdict),
        "Patients exposed by the number of samples released",
        " ".join(paragraphs.exposure_words(verdict)),
    )
    return {"similarities": similarities, "sensitivity": sensitivity, "exposure": exposure}


def _pair(number: int, samples: pd.DataFrame, images: tuple[np.ndarray, np.ndarray], limit: float) -> dict:
    """A pair's images as data: addresses, and its words."""
    row = samples[samples["sample"] == number].iloc[0]
    synthetic, training = (charts.flat(image) for image in images)
    difference = synthetic - training
    return {
        "sample": number,
        "file": numbers.plain(str(row["file"])),
        "words": paragraphs.pair_words(row),
        "volume": images[0].ndim == 3,
        "images": [
            ("synthetic", _png(synthetic, **GREY)),
            ("training", _png(training, **GREY)),
            ("difference", _png(difference, cmap=DIFFERENCE, vmin=-limit, vmax=limit)),
        ],
    }


@house_style()
def _png(image: np.ndarray, **shade) -> str:
    """An image [H, W] as a data: address, with every n-th pixel where it is large; NaN is transparent."""
    step = -(-max(image.shape) // MAX_SIDE)
    file = io.BytesIO()
    imsave(file, image[::step, ::step], format="png", metadata={"Software": None}, **shade)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
