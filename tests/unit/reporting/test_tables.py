"""Tables of figures: families in a benchmark are told from other transforms, with their mean."""

import pandas as pd

from copylens.evaluation.families import family_name
from copylens.reporting.tables import by_severity


def test_families_are_told_from_other_transforms_and_averaged():
    names = [family_name("zoom", 0.5), family_name("salt_and_pepper", 0.5), family_name("zoom", 1.0)]
    assert names == ["zoom_050", "salt_and_pepper_050", "zoom_100"]
    table = pd.DataFrame({"transform": [*names, "denoised_40", "rotation_05"], "auroc": [1, 0.5, 0.25, 0, 0]}).assign(
        dataset="d", detector="a"
    )
    found = by_severity(table)
    assert list(found["family"]) == ["zoom", "salt_and_pepper", "zoom", "mean", "mean"]
    assert list(found["severity"]) == [0.5, 0.5, 1.0, 0.5, 1.0]
    assert list(found["auroc"]) == [1, 0.5, 0.25, 0.75, 0.25]
    assert not len(by_severity(table[3:]))
