"""Generators. In: the training images T. Out: weights, the samples S, and denoising losses of T and V (calibration).

models        one file per kind of network
diffusion     the noise schedule, samplers and averaging of diffusion models
denoising     how well a network denoises each image
ambient       noisy training images at high noise levels
avoidance     samples led away from training images, or rejected
autoencoders  the loss of autoencoders
train         train one network
latent_scale  the scale of latents that a denoiser was trained with
bundles       MONAI bundles, parsed and never evaluated
saved         networks that other programs saved, read without running anything of theirs
saved_denoiser  what such networks share that denoise
load          load a trained network, at any kept epoch
sample        draw S, reconstruct V and H (control), measure denoising losses
"""
