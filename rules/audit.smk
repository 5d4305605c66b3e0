# Training images and synthetic images -> a verdict, its reports, and the samples that may be released. All but public/
# is restricted.


rule pool_images:
    input:
        unpack(settings_of(audit_spec.images, "audit")),
        code=code("pool_images", audited_readers),
    output:
        images="results/audits/{audit}/restricted/data/images.npy",
        splits="results/audits/{audit}/restricted/data/splits.tsv",
        synthetic="results/audits/{audit}/restricted/data/synthetic.npy",
        samples="results/audits/{audit}/restricted/data/samples.tsv",
        decoded="results/audits/{audit}/restricted/data/decoded.npy",
    log:
        "results/logs/pool_images/{audit}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        sources=settings_of(audit_spec.sources, "audit"),
    script:
        "../workflow/scripts/pool_images.py"


use rule train_detector as train_audit_detector with:
    input:
        images=rules.pool_images.output.images,
        splits=rules.pool_images.output.splits,
        files=users_files(spec.detector_files, "detector"),
        code=code("train_detector", detector),
    output:
        weights="results/audits/{audit}/restricted/detectors/{detector}/weights.safetensors",
        spec="results/audits/{audit}/restricted/detectors/{detector}/spec.yaml",
        losses="results/audits/{audit}/restricted/detectors/{detector}/losses.csv",
        scans="results/audits/{audit}/restricted/detectors/{detector}/scans.npy",
    log:
        "results/logs/train_audit_detector/{audit}/{detector}.log",


use rule plant_copies as plant_audit_copies with:
    input:
        images=rules.pool_images.output.images,
        splits=rules.pool_images.output.splits,
        weights=[],
        code=code("plant_copies"),
    output:
        planted="results/audits/{audit}/restricted/planted/images.npy",
        sources="results/audits/{audit}/restricted/planted/sources.tsv",
        transforms="results/audits/{audit}/restricted/planted/transforms.tsv",
    log:
        "results/logs/plant_audit_copies/{audit}.log",
    params:
        settings=settings_of(audit_spec.planted, "audit"),


rule compare_audit:
    input:
        images=rules.pool_images.output.images,
        splits=rules.pool_images.output.splits,
        synthetic=rules.pool_images.output.synthetic,
        decoded=rules.pool_images.output.decoded,
        planted=rules.plant_audit_copies.output.planted,
        scans=rules.train_audit_detector.output.scans,
        weights=rules.train_audit_detector.output.weights,
        spec=rules.train_audit_detector.output.spec,
        other=other_comparison,
        files=users_files(spec.detector_files, "detector"),
        code=code("compare_audit", detector),
    output:
        nearest="results/audits/{audit}/restricted/nearest/{detector}.npz",
    log:
        "results/logs/compare_audit/{audit}/{detector}.log",
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        neighbours=neighbours,
        search=settings_of(spec.search_settings, "detector"),
        other=list(OTHER),
    script:
        "../workflow/scripts/compare_audit.py"


rule measure_kind:
    input:
        images=rules.pool_images.output.images,
        splits=rules.pool_images.output.splits,
        synthetic=rules.pool_images.output.synthetic,
        code=code("measure_kind"),
    output:
        kind="results/audits/{audit}/restricted/kind.npz",
    log:
        "results/logs/measure_kind/{audit}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    script:
        "../workflow/scripts/measure_kind.py"


rule measure_attacks:
    input:
        images=rules.pool_images.output.images,
        splits=rules.pool_images.output.splits,
        synthetic=rules.pool_images.output.synthetic,
        code=code("measure_attacks"),
    output:
        attacks="results/audits/{audit}/restricted/attacks.npz",
    log:
        "results/logs/measure_attacks/{audit}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    script:
        "../workflow/scripts/measure_attacks.py"


rule measure_membership:
    input:
        images=rules.pool_images.output.images,
        splits=rules.pool_images.output.splits,
        weights=settings_of(audit_spec.weights, "audit"),
        code=code("measure_membership", audited_network),
    output:
        errors="results/audits/{audit}/restricted/membership.npz",
    log:
        "results/logs/measure_membership/{audit}.log",
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=60,
    params:
        seed=lambda wildcards: config["audits"][wildcards.audit]["seed"],
    script:
        "../workflow/scripts/measure_membership.py"


rule judge_audit:
    input:
        nearest=settings_of(audit_spec.comparisons, "audit"),
        kind=rules.measure_kind.output.kind,
        attacks=rules.measure_attacks.output.attacks,
        splits=rules.pool_images.output.splits,
        samples=rules.pool_images.output.samples,
        images=rules.pool_images.output.images,
        synthetic=rules.pool_images.output.synthetic,
        sources=rules.plant_audit_copies.output.sources,
        transforms=rules.plant_audit_copies.output.transforms,
        synthetic_scans=settings_of(audit_spec.synthetic_scans, "audit"),
        scans=settings_of(audit_spec.real_scans, "audit"),
        membership=settings_of(audit_spec.membership, "audit"),
        code=code("judge_audit", audited_readers),
    output:
        verdict="results/audits/{audit}/public/verdict.json",
        public="results/audits/{audit}/public/samples.csv",
        restricted="results/audits/{audit}/restricted/samples.tsv",
        patients="results/audits/{audit}/restricted/patients.tsv",
        files="results/audits/{audit}/restricted/files.json",
    log:
        "results/logs/judge_audit/{audit}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        policy=settings_of(audit_spec.policy, "audit"),
        sources=settings_of(audit_spec.sources, "audit"),
        config=settings_of(audit_spec.shown, "audit"),
    script:
        "../workflow/scripts/judge_audit.py"


rule gather_rest:
    input:
        verdict=rules.judge_audit.output.verdict,
        samples=rules.judge_audit.output.restricted,
        synthetic=rules.pool_images.output.synthetic,
        synthetic_scans=settings_of(audit_spec.synthetic_scans, "audit"),
        files=rules.judge_audit.output.files,
        code=code("gather_rest", audited_readers),
    output:
        rest=directory("results/audits/{audit}/restricted/rest"),
    log:
        "results/logs/gather_rest/{audit}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        sources=settings_of(audit_spec.sources, "audit"),
    script:
        "../workflow/scripts/gather_rest.py"


rule report_audit:
    input:
        verdict=rules.judge_audit.output.verdict,
        public_samples=rules.judge_audit.output.public,
        restricted_samples=rules.judge_audit.output.restricted,
        nearest=settings_of(audit_spec.comparisons, "audit"),
        kind=rules.measure_kind.output.kind,
        attacks=rules.measure_attacks.output.attacks,
        splits=rules.pool_images.output.splits,
        samples=rules.pool_images.output.samples,
        images=rules.pool_images.output.images,
        synthetic=rules.pool_images.output.synthetic,
        sources=rules.plant_audit_copies.output.sources,
        transforms=rules.plant_audit_copies.output.transforms,
        rest=rules.gather_rest.output.rest,
        code=code("report_audit"),
    output:
        public=report(
            multiext("results/audits/{audit}/public/report", ".html", ".pdf"),
            caption="../workflow/report/audit.rst",
            category="{audit}",
            labels={"report": "public edition"},
        ),
        restricted=multiext("results/audits/{audit}/restricted/report", ".html", ".pdf"),
        crate=[
            "results/audits/{audit}/public/ro-crate-metadata.json",
            "results/audits/{audit}/public/audit.smk",
        ],
    log:
        "results/logs/report_audit/{audit}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    script:
        "../workflow/scripts/report_audit.py"
