"""The reports of an audit: report.html, one file that needs no network, and report.pdf, the same in short to sign.

The public edition shows no real image and names no file; the restricted one shows flagged samples beside patients.
"""

import base64
import hashlib
import io
import json
from functools import partial
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import yaml
from matplotlib.image import imsave

from copylens.figures import house_style
from copylens.figures.copy_pairs import DIFFERENCE
from copylens.files import whole
from copylens.reports import content, figures, pdf

EDITIONS = ("public", "restricted")
MAX_PAIRS = 60
MAX_SIDE = 256  # pixels; of an image in the page
HERE = Path(__file__).parent


def write_report(
    verdict: dict,
    samples: pd.DataFrame,
    scores: dict[str, dict[str, np.ndarray]],
    pairs: dict[int, tuple[np.ndarray, np.ndarray]] | None,
    edition: str,
    html_path: Path,
    pdf_path: Path,
) -> None:
    """Write both reports of an audit; the same results give the same bytes.

    verdict: what verdict.json holds. Any of its numbers may be None or NaN.
    samples: one row per synthetic image; sample (from 1), copy, withheld, identical, named_by (the detector that names
        the patient), and for each of the rule's detectors similarity_, called_ and patient_<detector>; in the
        restricted edition also file.
    scores: of each detector, the similarities [n] of the groups synthetic, calibration, control and planted to their
        nearest training image.
    pairs: by sample, the synthetic image and the training image nearest to it, [H, W] or [D, H, W] in [0, 1].
    edition: public or restricted.

    Raises ValueError for an unknown edition, a public one that is given files or images, and missing columns.
    """
    _check(samples, pairs, edition, verdict["rule"]["detectors"])
    verdict = content.plain(verdict)
    pairs = pairs or {}
    detectors = verdict["rule"]["detectors"]
    shown = content.pair_numbers(samples, pairs, detectors[0])
    pairs = {number: pairs[number] for number in shown[:MAX_PAIRS]}
    page = _page(verdict, samples, scores, pairs, len(shown), edition)
    with whole(html_path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    pdf.write_pdf(verdict, samples, scores, pairs, len(shown), edition, pdf_path)


def _check(samples: pd.DataFrame, pairs: dict | None, edition: str, detectors: list[str]) -> None:
    if edition not in EDITIONS:
        raise ValueError(f"edition: {edition} is none of {', '.join(EDITIONS)}")
    if edition == "public" and (pairs is not None or "file" in samples):
        raise ValueError("a public report holds no images and no file names: give it no pairs and no column file")
    columns = ["sample", "copy", "withheld", "identical", "named_by"]
    columns += [f"{column}_{name}" for name in detectors for column in ("similarity", "called", "patient")]
    columns += ["file"] if edition == "restricted" else []
    missing = [column for column in columns if column not in samples]
    if missing:
        raise ValueError(f"samples: missing columns {', '.join(missing)}")


def _page(verdict: dict, samples: pd.DataFrame, scores: dict, pairs: dict, n_pairs: int, edition: str) -> str:
    """The web page."""
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(HERE),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    script = (HERE / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    limit = figures.difference_limit(pairs)
    columns, rows = content.sample_columns(samples, verdict["rule"]["detectors"])
    return environment.get_template("report.html").render(
        verdict=verdict,
        restricted=edition == "restricted",
        content=content,
        style=(HERE / "report.css").read_text(),
        script=script,
        script_digest=digest,
        figures=_figures(verdict, scores),
        columns=columns,
        data=json.dumps({"columns": columns, "rows": rows}, allow_nan=False).replace("<", "\\u003c"),
        n_flagged=int(content.flagged(samples).sum()),
        pairs=[_pair(number, samples, images, verdict, limit) for number, images in pairs.items()],
        limit=content.number(limit),
        n_pairs=n_pairs,
        config=yaml.safe_dump(verdict["provenance"]["config"], sort_keys=True, allow_unicode=True),
    )


def _figures(verdict: dict, scores: dict) -> dict:
    """The figures as SVG: histograms (one per detector), sensitivity and exposure."""
    taus = {row["detector"]: row.get("tau") for row in verdict["detectors"]}
    histograms = [
        figures.as_svg(
            f"histogram-{number}",
            figures.HISTOGRAM,
            partial(figures.histogram, detector=name, groups=scores.get(name, {}), tau=taus.get(name)),
            f"Similarities under {content.name_of(name)}",
            figures.histogram_words(scores.get(name, {}), taus.get(name)),
        )
        for number, name in enumerate(verdict["rule"]["detectors"], 1)
    ]
    sensitivity = figures.as_svg(
        "sensitivity",
        figures.sensitivity_height(verdict),
        partial(figures.sensitivity, verdict=verdict),
        "Planted copies found",
        "The table beside this figure has its numbers.",
    )
    exposure = figures.as_svg(
        "exposure",
        figures.EXPOSURE,
        partial(figures.exposure, verdict=verdict),
        "Patients exposed by the number of samples released",
        " ".join(content.exposure_words(verdict)),
    )
    return {"histograms": histograms, "sensitivity": sensitivity, "exposure": exposure}


def _pair(
    number: int, samples: pd.DataFrame, images: tuple[np.ndarray, np.ndarray], verdict: dict, limit: float
) -> dict:
    """A pair's images as data: addresses, and its words."""
    row = samples[samples["sample"] == number].iloc[0]
    synthetic, training = (figures.flat(image) for image in images)
    difference = synthetic - training
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1}
    return {
        "sample": number,
        "file": content.plain(str(row["file"])),
        "words": content.pair_words(row),
        "volume": images[0].ndim == 3,
        "images": [
            ("synthetic", _png(synthetic, **grey)),
            ("training", _png(training, **grey)),
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
