"""An example of the report that leaves an audit: of 100 samples, the first half repeat patients with noise added.

    .venv/bin/python benchmarks/write_example_report.py ../shared/data/nih_chestxray docs/example_report.html

Arguments: a folder of NIH ChestX-ray14 (Wang et al. 2017) in its own file names, and the report to write. 140 patients
are called trained on, 140 are held out, and the second half of the samples shows 50 others; one image of each. The
report is the public edition, which has no image and no id. NIH Clinical Center is the images' source.
"""

import sys
from pathlib import Path

import numpy as np
import PIL.Image

import copylens

SIDE, NOISE, N, COPIES = 64, 0.03, 140, 50


def main(data: Path, report: Path) -> None:
    first: dict[str, Path] = {}
    for path in sorted(data.rglob("*.png")):
        first.setdefault(path.name.split("_")[0], path)
    small = [
        PIL.Image.open(path).convert("L").resize((SIDE, SIDE), PIL.Image.Resampling.BOX) for path in first.values()
    ]
    images = np.stack([np.asarray(image, np.float32) / 255 for image in small])
    training, held_out, others = images[:N], images[N : 2 * N], images[2 * N : 2 * N + COPIES]
    copies = np.clip(training[:COPIES] + np.random.default_rng(0).normal(0, NOISE, training[:COPIES].shape), 0, 1)
    verdict = copylens.audit(training, held_out, np.concatenate([copies, others]), patients="each")
    verdict.report(report)
    print(verdict)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
