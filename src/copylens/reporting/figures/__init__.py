"""One file per figure of a study. The file's name is the configuration's word for the figure.

Each module has

- ``draw(...)``, tables and images in, a `Figure` out: it computes nothing that a test would want to check;
- ``pages(files, settings)``, the figure's pages from a study's results. ``files``: paths by name, ``settings``: the
  runs they belong to; the figure's rule gives both, and `copylens.reporting.tables` makes tables of them. Only
  ``review_sheet`` has none: its pages come with the tables that people fill in.
"""
