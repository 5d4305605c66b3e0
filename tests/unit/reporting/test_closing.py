"""The last lines of a run."""

import json

import pandas as pd

from copylens.reporting.closing import closing_lines, failure_lines


def test_studies_end_in_a_table_and_audits_in_their_verdict(tmp_path):
    rows = [
        {"variant": variant, "seed": seed, "epoch": epoch, "rule": rule, "copies": copies}
        for variant, copies_of in (("base", (0.2, 0.4)), ("augmented", (0.0, 0.1)))
        for seed, copies in enumerate(copies_of)
        for epoch in (10, 20)
        for rule in ("paper", "matched")
    ]
    table = pd.DataFrame(rows).assign(dataset="chest", model="ldm", detector="ntxent", patients_memorized=0.25)
    table["control_rate"] = 0.05
    table.loc[table["epoch"] == 10, "copies"] = 0.9
    (tmp_path / "scores").mkdir()
    table.to_csv(tmp_path / "scores" / "small.csv", index=False)
    folder = tmp_path / "audits" / "release" / "public"
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps({"verdict": "FAIL", "reasons": ["Too many.", "And more."]}))
    config = {"studies": {"small": {}, "not_run": {}}, "audits": {"release": {}, "not_run": {}}}
    lines = closing_lines(config, tmp_path)
    assert lines[2].split("  ")[0] == "data set"
    assert lines[3].split() == ["chest", "ldm", "30.0", "%", "25.0", "%", "5.0", "%"]
    assert lines[4].split()[:4] == ["chest", "ldm", "augmented", "5.0"]
    assert "release: FAIL. Too many." in lines
    assert not any("not_run" in line for line in lines)


def test_a_table_that_cannot_be_read_is_named_and_nothing_fails(tmp_path):
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "broken.csv").write_text("")
    (tmp_path / "scores" / "other.csv").write_text("a,b\n1,2\n")
    lines = closing_lines({"studies": {"broken": {}, "other": {}}, "audits": {}}, tmp_path)
    assert [line.split(": can't be read")[0] for line in lines if line] == [
        str(tmp_path / "scores" / name) for name in ("broken.csv", "other.csv")
    ]


def test_a_failed_run_names_each_rule_with_its_error(tmp_path):
    for name, text in (("one", "Traceback\nValueError: no\nValueError: a.png: can't be read\n"), ("two", "Killed\n")):
        (tmp_path / f"{name}.log").write_text(text)
    log = tmp_path / "snakemake.log"
    blocks = [("list_scans", "one"), ("train_model", "two"), ("list_scans", "one"), ("draw", "three")]
    log.write_text(
        "".join(
            f"Error in rule {rule}:\n    jobid: 1\n    log: {tmp_path}/{name}.log (check log file(s) for details)\n"
            for rule, name in blocks
        )
    )
    assert failure_lines(log) == [
        f"Failed: list_scans: a.png: can't be read (more in {tmp_path}/one.log)",
        f"Failed: train_model: its job ended without an error of its own (more in {tmp_path}/two.log)",
        f"Failed: draw: its job ended without a word (more in {tmp_path}/three.log)",
    ]
