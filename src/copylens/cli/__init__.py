"""The command `copylens`. In: folders or a configuration. Out: a verdict, and where its reports lie.

surroundings  what a command finds a way without: a locale in UTF-8, a home folder that can be written
workflow      the workflow as a process, with a line per stage
commands      the commands
"""

from copylens.cli.commands import main

__all__ = ["main"]
