"""How a job runs. In: a log, threads, GPUs. Out: files that are whole, checked and resumable; a mistake as one line.

job           the frame of every script: output to a log, threads, errors, the time limit
forks         jobs as forks of a process that has imported the libraries
parallel      many small pieces of work in several processes
files         tables, arrays and YAML, written whole
checksums     the checksum beside each result, compared before it is read
workdir       the folder of an unfinished job, held by one process
seeds         one seed for each purpose
lean_monai    MONAI without imports that no job needs
"""
