"""The columns that every table of a study shares."""

NETWORK = ("dataset", "model", "variant", "seed")
STATE = ("dataset", "model", "kind", "variant", "seed", "epoch")  # of a network, after an epoch
# Names in a training's losses: the gap of denoising losses between V and T, and how far it lies above its least.
GAP, RISE = "denoising_gap", "denoising_gap_rise"
RUN = (*STATE, "detector")  # the comparison of a state's samples by a detector
