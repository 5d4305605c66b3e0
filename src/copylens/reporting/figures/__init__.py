"""One file per figure of a study. A configuration's word for it is the file's name.

Each module has

- ``draw(...)``, tables and images in, a `Figure` out: it computes nothing that a test would want to check;
- ``pages(files, settings)``, the figure's pages from a study's results. ``files``: paths by name, ``settings``: which
  runs they are of, as its rule gives them; what they are made into tables by is `copylens.reporting.tables`. Only
  ``review_sheet`` has none: its pages come with the tables that people fill in.
"""
