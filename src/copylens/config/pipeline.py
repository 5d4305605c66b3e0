"""Where the workflow's own files are: in the checkout, or in an installed package."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def pipeline_folder() -> Path:
    """The folder of the Snakefile, with rules/, workflow/, profiles/ and config.yaml."""
    installed = PACKAGE / "pipeline"
    return installed if (installed / "Snakefile").is_file() else PACKAGE.parents[1]
