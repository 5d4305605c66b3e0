"""The training loop. In: a network and images. Out: its weights and losses, with the same bits after any interruption.

module        the loop's interface to a network
batches       the rows of each step
callbacks     progress, snapshots and losses
privacy       differential privacy for each patient
stopping      where a training ends by itself
loop          Lightning's trainer: batches, resumption, several devices
checkpoints   the state of an unfinished training
tensors       images as batches, weights as safetensors
"""
