"""Geometry and filters. In: images as tensors [B, channel, *grid]. Out: the same, warped, filtered or aligned.

warps         affine maps of images: rotations, shifts, mirrors
filters       resizing, smoothing, local normalisation
augment       random flips and rotations, and grey values through curves
views         strongly changed views of images, and where their pixels come from
acquisition   what scanners and files do to images
registration  affine and elastic registration of one image to another
correlation   rows whose inner products are Pearson correlations
windows       small windows of an image, and the images that have the same near the same place
order         rows in order
poses         the poses in which an image looks most like a population of images
axes          the group of orientations: axes permuted and mirrored, grey values inverted
orientation   the orientation in which an image fits other images best
"""
