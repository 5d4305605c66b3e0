"""The public folder as a research object: ro-crate-metadata.json, a Workflow Run RO-Crate without any identifier.

Leo et al. 2024, PLoS ONE 19:e0309210; the profiles are at https://w3id.org/ro/wfrun/workflow/0.5.
"""

import datetime
import json
import os
import shutil
from pathlib import Path

from copylens.config.pipeline import pipeline_folder
from copylens.jobs.checksums import whole

METADATA, WORKFLOW = "ro-crate-metadata.json", "audit.smk"
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
# Files of the public folder: name, type, what it is.
FILES = {
    "verdict.json": ("application/json", "The verdict with all rates and their intervals"),
    "samples.csv": ("text/csv", "Which samples are withheld"),
    "report.html": ("text/html", "The report as a page"),
    "report.pdf": ("application/pdf", "The report to be signed"),
}
SETS = {"training_files": "Training images", "held_out_files": "Held-out images", "synthetic_files": "Synthetic images"}


def write_crate(verdict: dict, public: Path) -> None:
    """Write ro-crate-metadata.json, and the rules of the audit that it speaks of, into the public folder.

    The date is the day on which it is written, or that of SOURCE_DATE_EPOCH. Images appear as checksums alone.
    """
    with whole(public / WORKFLOW) as temporary:
        shutil.copyfile(pipeline_folder() / "rules" / WORKFLOW, temporary)
    crate = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": _entities(verdict)}
    with whole(public / METADATA) as temporary:
        temporary.write_text(json.dumps(crate, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _entities(verdict: dict) -> list[dict]:
    sets = [
        {
            "@id": f"#{part}",
            "@type": "PropertyValue",
            "name": f"{SETS[part]}: SHA-256 of the list of their files' SHA-256",
            "value": digest,
        }
        for part, digest in verdict["provenance"]["checksums"].items()
        if part in SETS
    ]
    files = [
        {"@id": name, "@type": "File", "name": what, "description": what, "encodingFormat": kind}
        for name, (kind, what) in FILES.items()
    ]
    return [*_root(verdict), *_software(verdict["provenance"]["copylens"]), _run(verdict, sets), *sets, *files]


def _root(verdict: dict) -> list[dict]:
    """The metadata themselves, the folder, its profiles and its licence."""
    profiles = [
        {"@id": profile, "@type": "CreativeWork", "name": name, "version": version}
        for profile, (name, version) in PROFILES.items()
    ]
    return [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [
                {"@id": "https://w3id.org/ro/crate/1.1"},
                {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
            ],
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Audit of synthetic images: {verdict['verdict']}",
            "description": " ".join(verdict["reasons"]),
            "datePublished": _day(),
            "license": {"@id": "#licence"},
            "conformsTo": [{"@id": profile} for profile in PROFILES],
            "hasPart": [{"@id": name} for name in (WORKFLOW, *FILES)],
            "mainEntity": {"@id": WORKFLOW},
            "mentions": {"@id": "#audit"},
        },
        *profiles,
        {
            "@id": "#licence",
            "@type": "CreativeWork",
            "name": "No licence",
            "description": "The institution that made this audit decides who may use its results.",
        },
    ]


def _software(version: str) -> list[dict]:
    """The rules, their language, and the program."""
    return [
        {
            "@id": WORKFLOW,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "Audit of synthetic images",
            "description": "From training, held-out and synthetic images to a verdict and its reports",
            "programmingLanguage": {"@id": SNAKEMAKE},
            "encodingFormat": "text/x-snakemake",
            "version": version,
            "softwareRequirements": {"@id": "#copylens"},
        },
        {
            "@id": SNAKEMAKE,
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            "url": {"@id": "https://snakemake.readthedocs.io"},
        },
        {"@id": "#copylens", "@type": "SoftwareApplication", "name": "copylens", "softwareVersion": version},
    ]


def _run(verdict: dict, sets: list[dict]) -> dict:
    return {
        "@id": "#audit",
        "@type": "CreateAction",
        "name": f"Audit with copylens {verdict['provenance']['copylens']}: {verdict['verdict']}",
        "description": "Whether the synthetic images copy the patients that the generator was trained on",
        "endTime": _day(),
        "instrument": {"@id": WORKFLOW},
        "object": [{"@id": one["@id"]} for one in sets],
        "result": [{"@id": name} for name in FILES],
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }


def _day() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC) if epoch else datetime.datetime.now(datetime.UTC)
    return now.date().isoformat()
