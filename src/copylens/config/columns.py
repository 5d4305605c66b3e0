"""The columns that every table of a study shares."""

NETWORK = ("dataset", "model", "variant", "seed")
STATE = ("dataset", "model", "kind", "variant", "seed", "epoch")  # of a network, after an epoch
RUN = (*STATE, "detector")  # the comparison of a state's samples by a detector
