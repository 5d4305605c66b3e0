"""The configuration. In: a YAML file. Out: the settings of each stage, or one line that names the wrong key.

schema        validation against the JSON Schema, key by key
kinds         the plug-ins: which kinds of reader, model, detector and figure there are, each one file
checks        checks beyond the schema: names that must exist, sizes that must fit
model_checks  the same for one model's settings
execution     checks of how the workflow is run: resources, the executor
spec          the checked configuration resolved to the settings of one run
audit_spec    the same for an audit
upstream      the networks that a network comes from
columns       the columns that every table of a study shares
grids         sizes of latent grids
pipeline      where the workflow's own files are
dependencies  the library's files that a result depends on

Imports neither torch nor numpy, because every cluster job reads the Snakefile again.
"""
