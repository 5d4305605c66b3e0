"""One file per data format. A reader lists the scans of a data set and loads one; nothing else knows file names.

Each module has ``SETTINGS``, what a configuration may say about it (see `copylens.config.kinds`), and three functions:

- ``list_scans(root, settings)`` -> list of `Scan`, in an order that depends on nothing but the names;
- ``load(root, scan, settings)`` -> `Image`: float32 [H, W] or [D, H, W] in the source's own units, and its spacing;
- ``checksum(root, scan, settings)`` -> SHA-256 of the source, in hexadecimal.

Where a source may be many files it also has ``files(root, scan, settings)`` -> their paths below the root; and where
its settings have no ``pattern``, ``patterns(settings)`` -> the globs of all files that it reads.

Files are strangers'. All three raise ValueError, one line that begins with the file's name or with the key of the
configuration to change, for whatever is wrong with one: a reader opens a file in `copylens.data.limits.reading`, or
`reading_apart` where its library may never return, which stop it after settings['limits']['seconds']; and it compares
what the file's header asks for with the limits `pixels` and `bytes` before it takes memory.
`copylens.data.listing.load_scan` looks at the image itself.

What every data set of files may say beside them, `table`, `about` and `outside_links`, is seen to here.
"""
