"""The command `copylens`. It reads finished audits; `snakemake audits` runs them."""

import argparse
import sys
from pathlib import Path

from copylens.audit.gate import ERROR, gate


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="copylens", description=__doc__, exit_on_error=False)
    commands = parser.add_subparsers(dest="command", required=True)
    help_text = "exit with 0 (PASS), 1 (FAIL), 2 (NOT ABLE TO SAY) or 3 (no valid verdict, or one about other files)"
    commands.add_parser("gate", help=help_text, description=help_text).add_argument(
        "audit", type=Path, help="the audit's folder, such as results/audits/NAME"
    )
    try:
        options = parser.parse_args(arguments)
    except (argparse.ArgumentError, SystemExit) as error:
        # argparse exits with 2, which means NOT ABLE TO SAY here.
        if isinstance(error, SystemExit) and error.code == 0:
            return 0
        if isinstance(error, argparse.ArgumentError):
            print(f"copylens: {error}", file=sys.stderr)
        return ERROR
    code, text = gate(options.audit)
    print(text, file=sys.stderr if code == ERROR else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
