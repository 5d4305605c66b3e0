"""The command `copylens`. In: folders or a configuration. Out: a verdict, and where its reports lie.

workflow     the workflow as a process, with a line per stage
commands     the commands
"""

from copylens.cli.commands import main

__all__ = ["main"]
