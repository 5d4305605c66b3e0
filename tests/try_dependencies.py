"""The packages of the lock file: their licences, and what is known of their faults.

    .venv/bin/python tests/try_dependencies.py licences.tsv

Writes package, version and licence of everything installed. Exits with 1 for a licence that neither permits nor was
looked at (`LOOKED_AT`), and for a fault that pip-audit knows. Where the list of faults can't be reached, it says so.
"""

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PERMITS = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Mozilla|MPL|CNRI|Public Domain|0BSD", re.IGNORECASE
)
# What says otherwise, or nothing, and why it's used all the same.
LOOKED_AT = {
    "docutils": "public domain and BSD but for one mode of Emacs",
    "pygithub": "LGPL; a part of snakedeploy, which only developers use",
    "conda-inject": "MIT, by its repository; a part of snakemake",
    **{
        f"snakemake-interface-{part}": "MIT, by its repository; a part of snakemake"
        for part in ("common", "logger-plugins", "report-plugins", "scheduler-plugins", "storage-plugins")
    },
}


def licence_of(package: Distribution) -> str:
    """As the package's own metadata have it; empty where they have none."""
    classifiers = package.metadata.get_all("Classifier") or []
    licences = [each.split(" :: ")[-1] for each in classifiers if each.startswith("License ::")]
    return package.metadata.get("License-Expression") or "; ".join(licences) or (package.metadata.get("License") or "")


def licences() -> list[tuple[str, str, str]]:
    """(package, version, licence) of everything installed."""
    found = {each.name.lower(): (each.name.lower(), each.version, licence_of(each)) for each in distributions()}
    return [found[name] for name in sorted(found)]


def unknown_licences(rows: list[tuple[str, str, str]]) -> list[str]:
    """Packages whose licence nobody has looked at, with the licence."""
    kept = [row for row in rows if row[0] not in LOOKED_AT]
    return [f"{name}: {licence or 'no licence'}" for name, _, licence in kept if not permits(licence)]


def permits(licence: str) -> bool:
    return bool(PERMITS.search(licence)) and not re.search(r"\bA?GPL|Affero|General Public", licence)


def known_faults() -> tuple[list[str], int, int]:
    """(faults, packages looked up, packages) of pip-audit; ([], 0, 0) where it can't be had."""
    command = [str(Path(sys.executable).with_name("uv")), "tool", "run", "pip-audit==2.10.1", "--requirement"]
    command += [str(ROOT / "requirements.lock"), "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, timeout=600)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return [], 0, 0
    looked_up = [each for each in packages if "vulns" in each]
    faults = [f"{each['name']} {each['version']}: {fault['id']}" for each in looked_up for fault in each["vulns"]]
    return faults, len(looked_up), len(packages)


def main(table: Path) -> int:
    rows = licences()
    table.write_text("package\tversion\tlicence\n" + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    unknown = unknown_licences(rows)
    faults, looked_up, n = known_faults()
    print(f"{len(rows)} licences, {len(unknown)} that nobody has looked at; {looked_up} of {n} packages looked up")
    print("".join(f"{line}\n" for line in [*unknown, *faults]), end="")
    return int(bool(unknown or faults))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
