"""Generators. In: the images of T. Out: weights, the samples S, and denoising losses.

models        one file per kind of network
diffusion     noise schedules, samplers and averaging that diffusion models share
autoencoders  what autoencoders share
train         train one network
load          load it again, at any kept epoch
sample        draw S, reconstruct V and H, measure denoising losses
"""
