"""Images in. In: the user's files. Out: scans.tsv, images.npy and splits.tsv with pseudonyms in place of names.

scan          one image of one patient, and its pixels
limits        limits on the size and reading time of untrusted files
arrays        numbers in .npy and .npz files
folders       files by pattern, patients in their names, tables beside them
readers       one file per format
phantoms      drawn patients, for trying everything without a download
volumes       volumes head up, spacing, slices
listing       a data set's scans, with pseudonyms
source_files  records of the user's files, to notice changes
images        scans resampled to one grid
entries       a data set's entry in a configuration, from what lies in a folder
grids         the grid that images are compared on
splits        patients divided into T (train), V (calibration) and H (control)
"""
