"""A study's audits: named, never two of one name, and their verdicts beside the quality of the same network."""

import copy
import json

import pandas as pd
import pytest

from copylens.auditing.mitigations import QUALITY, tabulate_mitigations
from copylens.config import audit_spec, checks, spec
from copylens.jobs.files import read_table, write_table, write_yaml


@pytest.fixture
def audited(tiny) -> dict:
    """The tiny configuration with an audit of each network of the study `tiny`."""
    study = tiny["studies"]["tiny"]
    tiny["detectors"] |= {name: {"kind": name} for name in ("pixel_correlation", "pixel_l2_ratio", "ssim")}
    study["audit"] = {"detectors": ["pixel_correlation", "pixel_l2_ratio", "ssim"]}
    study["quality"] = study["quality"] or "pixel_correlation"
    return tiny


def test_each_network_of_a_study_gets_an_audit_with_the_studys_settings(audited):
    audited["studies"]["tiny"]["audit"] |= {"weights": False, "policy": {"copies": 0.1}}
    config = checks.check(audited)
    names = audit_spec.of_study(config, "tiny")
    assert len(names) == len(spec.networks(config, "tiny")) and names.keys() <= config["audits"].keys()
    entry = config["audits"]["tiny_ldm_base_0"]
    assert entry["synthetic"] == {"model": "ldm", "variant": "base", "seed": 0}
    assert entry["policy"]["copies"] == 0.1 and entry["policy"]["patients"] == 0.05
    assert "results/mitigations/tiny.csv" in spec.study_files(config, "tiny")
    assert checks.check(config)["audits"] == config["audits"]


def test_audits_that_would_share_a_name_are_refused(audited):
    audited["models"] |= {"ldm_wide": audited["models"]["ldm"]}
    audited["variants"]["wide_base"] = {"channels": [16, 16]}
    study = audited["studies"]["tiny"]
    study |= {"models": ["ldm", "ldm_wide"], "variants": ["base"], "more_variants": {"ldm": ["wide_base"]}}
    with pytest.raises(ValueError, match=r"studies\.tiny\.audit: two of its networks' audits would have one name"):
        checks.check(audited)


def test_weights_are_judged_where_there_are_any(audited):
    audited["studies"]["tiny"]["audit"]["weights"] = True
    config = checks.check(audited)
    judged = {name: config["audits"][name]["weights"] for name in audit_spec.of_study(config, "tiny")}
    assert judged == {name: "_ldm_" in name for name in judged} and set(judged.values()) == {True, False}


def test_an_audit_of_that_name_with_other_settings_is_refused(audited):
    config = checks.check(copy.deepcopy(audited))
    other = copy.deepcopy(config["audits"]["tiny_ldm_base_0"])
    other["policy"]["copies"] = 0.3
    audited["audits"]["tiny_ldm_base_0"] = other
    with pytest.raises(ValueError, match=r"audits\.tiny_ldm_base_0: studies\.tiny\.audit makes another audit"):
        checks.check(audited)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("quality", None, r"studies\.tiny\.quality: name a detector"),
        ("audit", None, r"studies\.tiny\.audit: the figure privacy_and_quality needs it"),
    ],
)
def test_what_is_lacking_is_named(audited, key, value, message):
    audited["studies"]["tiny"] |= {"figures": ["privacy_and_quality"], key: value}
    with pytest.raises(ValueError, match=message):
        checks.check(audited)


def test_verdicts_stand_beside_the_quality_of_the_last_epoch(tmp_path):
    runs, paths, quality = [], [], []
    for seed in (0, 1):
        run = {"dataset": "nih", "model": "ldm", "kind": "latent_diffusion", "variant": "base", "seed": seed}
        runs.append(run | {"detector": "random"})
        folder = tmp_path / str(seed)
        line = {"name": "copies", "value": 0.1 + seed, "low": 0.0, "high": 0.2, "outcome": "fail"}
        doubtful = {"name": "kind", "value": None, "low": None, "high": None, "outcome": "unable"}
        verdict = {
            "verdict": "FAIL",
            "samples_alone": "PASS",
            "lines": [line, doubtful],
            "quarantine": {"verdict": "PASS"},
        }
        folder.mkdir()
        (folder / "verdict.json").write_text(json.dumps(verdict))
        write_yaml({"epochs": [5, 9], "epsilon": 8.0}, folder / "spec.yaml")
        write_table(pd.DataFrame({"s": [12.5 + seed], "h:m:s": ["0:00:12"]}), folder / "seconds.tsv")
        paths.append(
            {"verdict": folder / "verdict.json", "spec": folder / "spec.yaml", "seconds": folder / "seconds.tsv"}
        )
        quality += [
            run
            | {"epoch": epoch, "metric": metric, "value": 10 * epoch + seed, "low": 9 * epoch, "high": 11 * epoch}
            | {"real": 3.0}
            for epoch in (5, 9)
            for metric in (*QUALITY, "recall")
        ]
    worth = [run | {"epoch": 9, "usefulness": 0.9, "usefulness_low": 0.8, "usefulness_high": 1.0} for run in runs]
    tables = [tmp_path / f"{name}.csv" for name in ("quality", "usefulness")]
    for rows, path in zip((quality, worth), tables, strict=True):
        write_table(pd.DataFrame(rows), path)
    tabulate_mitigations(runs, paths, tables, tmp_path / "mitigations.csv")
    table = read_table(tmp_path / "mitigations.csv").set_index("seed")
    assert table["copies"].tolist() == [0.1, 1.1] and table["seconds"].tolist() == [12.5, 13.5]
    assert set(table["verdict"]) == {"FAIL"} and set(table["samples_alone"]) == {"PASS"}
    assert set(table["rest"]) == {"PASS"} and set(table["failing"]) == {"copies"} and set(table["unable"]) == {"kind"}
    assert table["frechet_distance_held_out"].tolist() == [90, 91] and set(table["epoch"]) == {9}
    assert set(table["frechet_distance_held_out_low"]) == {81} and set(table["frechet_distance_held_out_high"]) == {99}
    assert (
        set(table["usefulness"]) == {0.9}
        and set(table["epsilon"]) == {8.0}
        and table["membership_weights"].isna().all()
    )
