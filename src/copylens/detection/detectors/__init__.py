"""One file per kind of copy detector. A configuration's word for it is the file's name.

Each module has

- ``SETTINGS``, what a configuration may say about it, as JSON Schema (see `copylens.config.kinds`);
- ``build(settings, grid)``, a `TrainedModule` for images of shape `grid`; with a `validation_step` if it is trained;
- ``embed(module, images)``, [B, 1, *grid] in [0, 1] -> [B, d], on the CPU.

It may have

- ``fit(module, images)``, of training images [T, 1, *grid], for a kind that learns without being trained;
- ``lay(batches)``, of training images -> a `copylens.imaging.orientation.Orienter`, which lays queries as these lie
  first;
- ``compare(module, images, embeddings)``, similarity [B, T] of images to training images, given by their embeddings;
- ``verify(module, image, candidates)``, similarity [k] of an image [1, *grid] to some training images [k, 1, *grid];
- ``where(module, image, candidates)``, how alike each place of these is, [k, *grid].
"""
