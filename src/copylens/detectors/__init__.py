"""One file per kind of copy detector. A configuration's word for it is the file's name.

Each module has

- ``SETTINGS``, what a configuration may say about it, as JSON Schema (see `copylens.kinds`);
- ``build(settings, grid)``, a `TrainedModule` for images of shape `grid`; with a `validation_step` if it is trained;
- ``embed(module, images)``, [B, 1, *grid] in [0, 1] -> [B, d], on the CPU.
"""
