"""The public folder as a Workflow Run RO-Crate: what its profiles demand, and that nobody is named."""

import json
import re

import pytest
from report_examples import arguments

from copylens.auditing.crate import FILES, METADATA, PROFILES, WORKFLOW, write_crate

DIGESTS = {"images": "1" * 64, "training_files": "2" * 64, "synthetic_files": "3" * 64}


@pytest.fixture
def crate(tmp_path, monkeypatch) -> dict:
    """Entities of a crate by @id."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    verdict = arguments("FAIL")["verdict"]
    verdict["provenance"]["checksums"] = DIGESTS
    for name in FILES:
        (tmp_path / name).touch()
    write_crate(verdict, tmp_path)
    graph = json.loads((tmp_path / METADATA).read_text())["@graph"]
    assert {path.name for path in tmp_path.iterdir() if path.name[0] != "."} == {METADATA, WORKFLOW, *FILES}
    return {entity["@id"]: entity for entity in graph}


def referenced(value) -> list[str]:
    if isinstance(value, dict):
        return [value["@id"]] if set(value) == {"@id"} else [one for item in value.values() for one in referenced(item)]
    return [one for item in value for one in referenced(item)] if isinstance(value, list) else []


def test_the_root_and_the_run_are_as_the_profiles_demand(crate):
    root, run = crate["./"], crate["#audit"]
    assert {"name", "description", "datePublished", "license"} <= set(root)
    assert root["datePublished"] == "2023-11-14"
    assert {profile["@id"] for profile in root["conformsTo"]} == set(PROFILES)
    assert set(crate[root["mainEntity"]["@id"]]["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert run["@type"] == "CreateAction" and run["instrument"] == root["mainEntity"]
    assert {one["@id"] for one in run["result"]} == set(FILES)
    assert {crate[one["@id"]]["value"] for one in run["object"]} == {"2" * 64, "3" * 64}


def test_every_entity_that_is_named_is_there(crate):
    known = set(crate) | {"https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0"}
    outside = {name for entity in crate.values() for name in referenced(list(entity.values()))} - known
    assert all(re.match("https://(doi.org|snakemake)", name) for name in outside), outside


def test_no_path_and_no_patient_occurs(crate):
    text = json.dumps(crate)
    assert "patient_0" not in text and "/" + "home" not in text and "restricted" not in text


def test_the_same_results_give_the_same_bytes(crate, tmp_path):
    before = (tmp_path / METADATA).read_bytes()
    verdict = arguments("FAIL")["verdict"]
    verdict["provenance"]["checksums"] = DIGESTS
    write_crate(verdict, tmp_path)
    assert (tmp_path / METADATA).read_bytes() == before
