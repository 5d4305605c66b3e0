"""One file per kind of copy detector. A configuration names a kind by its file's name.

Each module has

- ``SETTINGS``, the JSON Schema of its configuration (see `copylens.config.kinds`);
- ``build(settings, grid)``, a `TrainedModule` for images of shape `grid`; with a `validation_step` if it is trained;
- ``embed(module, images)``, [B, 1, *grid] in [0, 1] -> [B, d], on the CPU.

It may have

- ``fit(module, images)``, on training images [T, 1, *grid], for a kind that is fitted without a training loop or after
  it;
- ``lay(batches)``, batches of training images -> a function that turns queries to their orientation before they are
  compared, such as a `copylens.imaging.orientation.Orienter`: its first result is the queries;
- ``compare(module, images, embeddings)``, similarity [B, T] of images to T training images, given by their embeddings;
- ``verify(module, image, candidates)``, similarity [k] of an image [1, *grid] to some training images [k, 1, *grid];
- ``index(module, embeddings)``, what T training images' embeddings are prepared to once, and ``search(module, images,
  index, choose, pixels)``, which finds candidates and compares them by their images: similarity and position, [B, k];
- ``where(module, image, candidates)``, local similarity at each pixel of the candidates, [k, *grid].
"""
