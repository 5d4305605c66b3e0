"""Commands of `copylens`, and their exit codes: 0 PASS, 1 FAIL, 2 NOT ABLE TO SAY, 3 for an error."""

import argparse
import importlib.metadata
import json
import sys
from pathlib import Path

import yaml

from copylens.auditing.folders import AUDIT
from copylens.auditing.gate import CODES, ERROR, gate
from copylens.auditing.outcomes import may_be_released
from copylens.auditing.planning import needed
from copylens.auditing.verify import verify
from copylens.cli.surroundings import provide_caches, speak_utf8
from copylens.cli.workflow import INSTALL, WorkflowFailed, has_workflow, profile_path, require_workflow, run_workflow
from copylens.config import checks
from copylens.config.schema import validate

AUDIT_SCHEMA = ("properties", "audits", "additionalProperties", "properties")
SENSITIVITIES = (1.0, 0.95, 0.9, 0.85)  # shares of planted copies that are found
CONFIGURATION, LOG = "audit.yaml", "workflow.log"


class Parser(argparse.ArgumentParser):
    """argparse exits with 2, which means something else here."""

    def error(self, message: str):
        raise ValueError(f"{message}; see {self.prog} --help")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        if arguments is None:
            speak_utf8()
        options = _parser().parse_args(arguments)
        return options.run(options)
    except SystemExit as ended:  # of --help and --version
        return int(ended.code or 0)
    except KeyboardInterrupt:
        print("copylens: interrupted; the same command goes on", file=sys.stderr)
        return ERROR
    except (ValueError, WorkflowFailed, OSError) as error:
        print(f"copylens: {error}", file=sys.stderr)
        return ERROR


def _parser() -> Parser:
    parser = Parser(prog="copylens", description=__doc__)
    parser.add_argument("--version", action="version", version=importlib.metadata.version("copylens"))
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    audit = commands.add_parser("audit", help="may a folder of synthetic images be released?")
    audit.set_defaults(run=run_audit)
    audit.add_argument(
        "--training", type=_folder, required=True, help="folder of the images the generator was trained on"
    )
    audit.add_argument("--held-out", type=_folder, help="folder of real images of other patients")
    audit.add_argument("--synthetic", type=_folder, required=True, help="folder of the images that are to be released")
    audit.add_argument("-o", "--output", type=_folder, required=True, help="folder for the verdict and the reports")
    whose = audit.add_mutually_exclusive_group()
    whose.add_argument("--patient", metavar="REGEX", help="its first group finds the patient's id in each path")
    whose.add_argument("--table", metavar="FILE", help="table in each real folder, with the columns path and patient")
    whose.add_argument("--one-file-per-patient", action="store_true", help="each file is a patient of its own")
    audit.add_argument("--pattern", metavar="GLOB", help="the files to use, such as '**/*_T1w.nii.gz'")
    audit.add_argument("--grid", type=int, nargs="+", metavar="N", help="compare at so many pixels along each axis")
    audit.add_argument("--policy", type=_folder, metavar="FILE", help="YAML of the policy (docs/auditing.md)")
    audit.add_argument("--cores", type=int, default=2, help="cores to use (default 2)")
    audit.add_argument("--profile", help="Snakemake profile, such as slurm")
    study = commands.add_parser("study", help="train, sample and find copies, as a configuration says")
    study.set_defaults(run=run_study)
    study.add_argument("config", type=_folder, metavar="CONFIG", help="YAML, as config.yaml explains it")
    study.add_argument("-o", "--output", type=_folder, default=Path(), help="folder for results/ (default: here)")
    study.add_argument("--cores", type=int, default=2, help="cores to use (default 2)")
    study.add_argument("--profile", help="Snakemake profile, such as slurm")
    plan = commands.add_parser("plan", help="how many patients and samples can PASS, before there is any image")
    plan.set_defaults(run=run_plan)
    plan.add_argument("--policy", type=_folder, metavar="FILE", help="YAML of the policy (docs/auditing.md)")
    verify_parser = commands.add_parser("verify", help="are these the files that were audited? 0 yes, 1 no")
    verify_parser.set_defaults(run=run_verify)
    verify_parser.add_argument("folder", type=_folder, help="folder of the files")
    verify_parser.add_argument("report", type=_folder, help="report.html or verdict.json of the audit")
    gate_parser = commands.add_parser("gate", help="a verdict as exit code: 0 PASS, 1 FAIL, 2 NOT ABLE TO SAY, 3 none")
    gate_parser.add_argument("audit", type=Path, help="the audit's folder, such as results/audits/NAME")
    gate_parser.set_defaults(run=run_gate)
    return parser


def _folder(text: str) -> Path:
    return Path(text).expanduser()


def run_gate(options: argparse.Namespace) -> int:
    """A verdict as an exit code, and in words."""
    code, text = gate(options.audit)
    print(text, file=sys.stderr if code == ERROR else sys.stdout)
    return code


def run_verify(options: argparse.Namespace) -> int:
    """0 where the files are those that were audited, else 1."""
    same, text = verify(options.folder, options.report)
    print(text, file=sys.stdout if same else sys.stderr)
    return 0 if same else 1


def run_plan(options: argparse.Namespace) -> int:
    """The least numbers of patients and samples that can PASS, as a table."""
    policy = _policy(options.policy) if options.policy else {}
    validate(policy, "policy", (*AUDIT_SCHEMA, "policy"))
    planted: dict = {}
    validate(planted, "planted", (*AUDIT_SCHEMA, "planted"))
    columns = ("planted copies found", "training", "calibration", "control", "held-out", "samples")
    print("  ".join(columns))
    for sensitivity in SENSITIVITIES:
        row = needed(policy, sensitivity, planted["copies"])
        numbers = (
            *(row.training_patients, row.calibration_patients, row.control_patients),
            *(row.held_out_patients, row.samples),
        )
        cells = [f"{sensitivity:.0%}", *("never" if n is None else f"{n:,}" for n in numbers)]
        print("  ".join(f"{cell:>{len(column)}}" for cell, column in zip(cells, columns, strict=True)))
    print("Patients and samples, at least, where no sample and no control image is called a copy by chance.")
    print("Few harmless sets are so lucky; with 200 training, 120 + 120 held-out and 300 samples nine in ten are")
    print("(docs/operating_characteristics.md).")
    return 0


def run_study(options: argparse.Namespace) -> int:
    """Run the studies of a configuration."""
    if not options.config.is_file():
        raise ValueError(f"{options.config}: no such file; name a configuration, such as config.yaml")
    require_workflow()
    provide_caches()
    arguments = ["--configfile", str(options.config.resolve()), "--cores", str(options.cores)]
    arguments += ["--profile", profile_path(options.profile)] if options.profile else []
    options.output.mkdir(parents=True, exist_ok=True)
    run_workflow(arguments, options.output, options.output / LOG, lambda line: print(line, flush=True))
    print(f"Tables and figures: {options.output / 'results'}")
    return 0


def run_audit(options: argparse.Namespace) -> int:
    """Audit three folders; the verdict's exit code."""
    provide_caches()
    from copylens.auditing.folders import Options, configuration
    from copylens.auditing.in_process import audit_in_process
    from copylens.data.entries import Whose

    policy = _policy(options.policy) if options.policy else None
    whose = Whose(options.patient, options.table, options.one_file_per_patient)
    if options.held_out is None and options.table is None:
        raise ValueError("--held-out: name a folder of real images of patients who weren't trained on")
    folders = {"training": options.training, "held_out": options.held_out, "synthetic": options.synthetic}
    folders = {part: folder for part, folder in folders.items() if folder is not None}
    config, notes = configuration(folders, AUDIT, Options(whose, options.pattern, options.grid, policy))
    written = options.output / CONFIGURATION
    text = yaml.safe_dump(config, sort_keys=False)
    _claim(options.output, text)
    for note in notes:
        print(note, flush=True)
    written.write_text(text, encoding="utf-8")
    if not has_workflow() and options.profile is None:
        print(f"one stage after the other in one process, since Snakemake isn't installed ({INSTALL})", flush=True)
        terminal = sys.stdout
        audit_in_process(
            checks.check(config), AUDIT, options.output, lambda line: print(line, file=terminal, flush=True)
        )
        return _conclude(options.output)
    arguments = ["audits", "--configfile", str(written.resolve()), "--cores", str(options.cores)]
    arguments += ["--profile", profile_path(options.profile)] if options.profile else []
    run_workflow(arguments, options.output, options.output / LOG, lambda line: print(line, flush=True))
    return _conclude(options.output)


def _policy(path: Path) -> dict:
    try:
        policy = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"--policy: no file {path}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"--policy: {path} can't be read as YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(policy, dict):
        raise ValueError(f"--policy: {path} holds no keys; docs/auditing.md has an example")
    return policy


def _claim(output: Path, text: str) -> None:
    """Refuse a folder that holds something else than the same audit."""
    if output.exists() and not output.is_dir():
        raise ValueError(f"-o: {output} is a file; name a folder")
    if output.is_dir() and any(output.iterdir()):
        before = output / CONFIGURATION
        if not before.is_file():
            raise ValueError(f"-o: {output} holds other files; name a new folder")
        if before.read_bytes() != text.encode():
            raise ValueError(f"-o: {output} holds another audit (see its {CONFIGURATION}); name a new folder")
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / LOG).touch()
    except OSError as error:
        raise ValueError(f"-o: {output} can't be written ({error.strerror})") from None


def _conclude(output: Path) -> int:
    from copylens.reporting.audit_report.paragraphs import RELEASED

    folder = output / "results" / "audits" / AUDIT
    verdict = json.loads((folder / "public" / "verdict.json").read_text(encoding="utf-8"))
    print(f"\n{verdict['verdict']}: {verdict['reasons'][0]}")
    for reason in verdict["reasons"][1:4]:
        print(f"  {reason}")
    rest, n = verdict["quarantine"], verdict["counts"]["synthetic_images"]
    if rest:
        print(f"The rest: with {rest['withheld']} of {n} samples withheld, {rest['verdict']}.")
    else:
        print("The rest: all but flagged samples may be released.")
    print(f"To sign:     {folder / 'public' / 'report.pdf'}")
    print(f"To read:     {folder / 'restricted' / 'report.html'}  (shows patients)")
    print(f"To release:  {folder / RELEASED if may_be_released(verdict) else 'nothing'}")
    return CODES[verdict["verdict"]]
