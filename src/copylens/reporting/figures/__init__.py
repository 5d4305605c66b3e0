"""Figures: each module's `draw` takes tables and returns a matplotlib Figure; `save` writes them as PDF.

Nothing here uses pyplot, so no figure outlives its last reference and no state is shared between figures.
"""
