"""The training loop. In: a network and images. Out: its weights and losses, the same bits however often it stopped.

module        what the loop asks of a network
callbacks     progress, snapshots and losses
loop          Lightning's trainer: batches, resumption, several devices
checkpoints   the state of an unfinished training
tensors       images as batches, weights as safetensors
"""
