"""An audit of data sets in this process, without a workflow: what rules/data.smk and rules/audit.smk do, in turn."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from copylens.auditing.attacks import measure_attacks
from copylens.auditing.kind import measure_kind
from copylens.auditing.nearest import compare_audit
from copylens.auditing.patients import list_patients
from copylens.auditing.pool import pool_images
from copylens.auditing.publish import judge_audit, restrict
from copylens.auditing.release import gather_rest
from copylens.auditing.report import report_audit
from copylens.config import audit_spec, spec
from copylens.data.images import gather_images
from copylens.data.listing import list_scans
from copylens.data.source_files import record_of
from copylens.detection.embed import Embedder, embed_file
from copylens.detection.train import train_detector
from copylens.evaluation.planted import plant_copies
from copylens.jobs.workdir import Unfinished

LOG, UNFINISHED = "audit.log", "work"
PLANTED = ("planted", "sources", "transforms")


def audit_in_process(config: dict, audit: str, folder: Path, say: Callable[[str], None] = lambda line: None) -> Path:
    """Write the files of an audit below `folder`, where a workflow would write them; returns the audit's folder.

    config: checked (`copylens.config.checks`), with data sets for all images. What the stages print goes to audit.log,
    a line per stage to `say`.

    Raises ValueError for what the images don't allow, as the workflow's jobs do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("w", errors="backslashreplace", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        sources = audit_spec.sources(config, audit)
        say("reading the images")
        for name in audit_spec.datasets(config, audit).values():
            listing, data = spec.listing_settings(config, name), folder / "results" / "data" / name
            list_scans(listing, data / "scans.tsv")
            images = spec.image_settings(config, name)
            gather_images(listing, images, data / "scans.tsv", data / "images.npy")
        restricted = folder / "results" / "audits" / audit / "restricted"
        restrict(restricted)
        pooled = {name: folder / path for name, path in audit_spec.images(config, audit).items()}
        say("pooling images and patients")
        pool_images(sources, pooled, restricted / "data")
        files = _compared(config, audit, restricted, folder / UNFINISHED, say)
        say("judging, and writing the reports")
        _judge(config, audit, files, folder)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    return restricted.parent


def _compared(config: dict, audit: str, restricted: Path, unfinished: Path, say: Callable[[str], None]) -> dict:
    """The files of the audit's measurements, by the names that `judge_audit` has for them."""
    data, planted = restricted / "data", restricted / "planted"
    files: dict = {name: data / f"{name}.npy" for name in ("images", "synthetic", "decoded")}
    files |= {name: data / f"{name}.tsv" for name in ("splits", "samples")}
    files |= {name: planted / f"{name}.tsv" for name in ("sources", "transforms")}
    files |= {"planted": planted / "images.npy", "kind": restricted / "kind.npz", "nearest": {}}
    files["attacks"] = restricted / "attacks.npz"
    say("planting copies")
    settings = audit_spec.planted(config, audit)
    plant_copies(settings, files["images"], files["splits"], [], *(files[name] for name in PLANTED))
    say("asking whether the samples are of the patients' kind, and what they tell")
    measure_kind(files["images"], files["splits"], files["synthetic"], files["kind"])
    measure_attacks(files["images"], files["splits"], files["synthetic"], files["attacks"])
    for name in config["audits"][audit]["detectors"]:
        say(f"comparing samples with training images by {name}")
        detector, work = restricted / "detectors" / name, unfinished / name
        real = {part: files[part] for part in ("images", "splits")}
        train_detector(spec.detector_settings(config, name), real, detector, Unfinished(work / "training"))
        scans = detector / "scans.npy"
        embed_file(Embedder(detector), files["images"], scans, Unfinished(work / "embedding"))
        path = restricted / "nearest" / f"{name}.npz"
        k, search = config["detectors"][name]["neighbours"], spec.search_settings(config, name)
        compare_audit(files | {"scans": scans}, detector, k, search, path)
        files["nearest"][name] = path
    return files


def _judge(config: dict, audit: str, files: dict, folder: Path) -> None:
    """The verdict, the folder to release, and the reports."""
    listing, policy = audit_spec.sources(config, audit)["listing"], audit_spec.policy(config, audit)
    named = audit_spec.datasets(config, audit)
    scans = {part: folder / "results" / "data" / name / "scans.tsv" for part, name in named.items()}
    public, restricted = (folder / "results" / "audits" / audit / part for part in ("public", "restricted"))
    files["records"] = {part: record_of(path) for part, path in scans.items()}
    files["synthetic_scans"] = scans["synthetic"]
    outputs = {"verdict": public / "verdict.json", "public": public / "samples.csv"}
    outputs |= {"restricted": restricted / "samples.tsv", "files": restricted / "files.json"}
    judge_audit(audit, files, policy, audit_spec.shown(config, audit), listing["synthetic"], outputs)
    real = {part: path for part, path in scans.items() if part != "synthetic"}
    list_patients(files, listing, real, restricted / "patients.tsv")
    files |= {"rest": restricted / "rest", "verdict": outputs["verdict"]}
    files |= {"public_samples": outputs["public"], "restricted_samples": outputs["restricted"]}
    judged = outputs["verdict"], outputs["restricted"]
    gather_rest(*judged, files["synthetic"], listing["synthetic"], scans["synthetic"], outputs["files"], files["rest"])
    report_audit(files, public, restricted)
