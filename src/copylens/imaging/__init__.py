"""Geometry and filters. In: images as tensors [B, channel, *grid]. Out: the same, warped, filtered or aligned.

warps         affine maps: rotations, shifts, mirrors, and where they take each pixel
filters       resizing, smoothing, local normalisation
augment       random flips and rotations
registration  the shift or rotation that lays one image on another
correlation   rows whose inner products are Pearson correlations
orientation   in which of all orientations an image fits other images best
"""
