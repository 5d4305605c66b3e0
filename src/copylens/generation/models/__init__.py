"""One file per kind of network, 2D and 3D from the same code. A configuration names a kind by its file's name.

Each module has

- ``SETTINGS``, the JSON Schema of its configuration (see `copylens.config.kinds`);
- ``build(settings, grid, upstream)``, an untrained `TrainedModule` for images of shape `grid`.

It may have

- ``sample(module, n, seed, sampling, first)``, if images are drawn from it: yields batches [B, 1, *grid] in [0, 1], on
  the CPU, of the images from number `first` (a multiple of sampling.batch_size) to `n`, independent of earlier draws;
- ``rows(splits)``, the rows of images.npy that it gets in place of T, the training images;
- ``round_trip(module, images, strength, seed)``, images [B, 1, *grid] with noise added and taken away;
- ``losses_by_noise(module, images, timesteps, seed)`` -> [image, timestep], if it learns to denoise;
- ``errors_by_noise(module, images, timesteps, seed)`` -> [image, timestep] by name, if its weights can be attacked.
"""
