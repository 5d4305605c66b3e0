"""One file per kind of network, 2D and 3D from the same code. A configuration's word for it is the file's name.

Each module has ``build(settings, grid, upstream)``, which returns an untrained `TrainedModule`. One that images are
drawn from also has ``sample(module, n, seed, sampling)`` -> [n, 1, *grid] in [0, 1], on the CPU.
"""
