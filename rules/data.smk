# Raw images -> one row table, one array, one split by patient. These jobs run before all others: the longest trainings
# use the largest data, and can start first only if all data are ready.


rule list_scans:
    input:
        files=users_files(spec.table_files, "dataset"),
        code=code("list_scans", reader),
    output:
        table="results/data/{dataset}/scans.tsv",
    log:
        "results/logs/list_scans/{dataset}.log",
    priority: 2
    conda:
        "../envs/train.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        settings=settings_of(spec.listing_settings, "dataset"),
        state=files_state,
    script:
        "../workflow/scripts/list_scans.py"


rule gather_images:
    input:
        table="results/data/{dataset}/scans.tsv",
        code=code("gather_images", reader),
    output:
        images="results/data/{dataset}/images.npy",
    log:
        "results/logs/gather_images/{dataset}.log",
    priority: 2
    conda:
        "../envs/train.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        listing=settings_of(spec.listing_settings, "dataset"),
        imaging=settings_of(spec.image_settings, "dataset"),
    script:
        "../workflow/scripts/gather_images.py"


rule find_duplicates:
    input:
        table="results/data/{dataset}/scans.tsv",
        images="results/data/{dataset}/images.npy",
        code=code("find_duplicates", duplicates_detector),
    output:
        duplicates="results/data/{dataset}/duplicates.csv",
    log:
        "results/logs/find_duplicates/{dataset}.log",
    priority: 2
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        detector=settings_of(spec.duplicates_detector, "dataset"),
    script:
        "../workflow/scripts/find_duplicates.py"


rule split_patients:
    input:
        table="results/data/{dataset}/scans.tsv",
        duplicates=settings_of(spec.duplicates_files, "dataset"),
        code=code("split_patients"),
    output:
        splits="results/data/{dataset}/splits.tsv",
    log:
        "results/logs/split_patients/{dataset}.log",
    priority: 2
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=settings_of(spec.split_settings, "dataset"),
    script:
        "../workflow/scripts/split_patients.py"
