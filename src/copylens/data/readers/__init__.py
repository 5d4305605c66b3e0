"""One file per format, or per public data set. A reader lists the scans and loads one; nothing else knows file names.

A new file here is found by its name. Another format that Pillow reads goes into `image_folder.py` instead. Each module
has ``SETTINGS``, the JSON Schema of its configuration as literal YAML (see `copylens.config.kinds`), and three
functions:

- ``list_scans(root, settings)`` -> list of `Scan`, in an order that depends on the names alone;
- ``load(root, scan, settings)`` -> `Image`: float32 [H, W] or [D, H, W] in the source's own units, and its spacing;
- ``checksum(root, scan, settings)`` -> SHA-256 of the source, in hexadecimal.

Where a source may be many files it also has ``files(root, scan, settings)`` -> their paths below the root; and where
its settings have no ``pattern``, ``patterns(settings)`` -> the globs of all files that it reads.

Files are untrusted. For any fault, each function raises ValueError with one line that begins with the file's name or
with the configuration's key to change. A reader opens a file in `copylens.data.limits.reading`, or in `reading_apart`
if its library may never return; both stop it after settings['limits']['seconds']. Before it takes memory it compares
the sizes in the file's header with the limits `pixels` and `bytes`. `copylens.data.listing.load_scan` checks the image.

`copylens.data.folders` handles the settings shared by all data sets of files: `table`, `about` and `outside_links`.
"""
