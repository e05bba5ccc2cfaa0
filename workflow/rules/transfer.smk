"""Transfer matrices and the tidy tables over all runs.

In:  adversarial examples, classifiers, per-run tables
Out: results/transfers/<study>/<source>--seed<k>--<attack>.parquet, results/tables/<table>.parquet
"""


rule transfer:
    """Show every target the adversarial examples of one source: one row of a matrix."""
    input:
        unpack(lambda w: PLAN.inputs("transfer", w)),
    output:
        row="results/transfers/{study}/{source}--seed{seed}--{attack}.parquet",
    log:
        "results/logs/transfer/{study}/{source}--seed{seed}--{attack}.log",
    benchmark:
        "results/benchmarks/transfer/{study}/{source}--seed{seed}--{attack}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        targets=lambda w, input: listed(input.targets),
        spec=lambda w: PLAN.spec("transfer", w),
        code=lambda w: PLAN.code("transfer", w),
    shell:
        "python -m advgen transfer "
        "--examples {input.examples:q} --targets {params.targets} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.row:q} 2> {log:q}"


rule summarise:
    """Gather per-run tables into one tidy table."""
    input:
        unpack(lambda w: PLAN.inputs("summarise", w)),
    output:
        table="results/tables/{table}.parquet",
    log:
        "results/logs/summarise/{table}.log",
    benchmark:
        "results/benchmarks/summarise/{table}.tsv"
    threads: 1
    params:
        tables=lambda w, input: listed(input.tables),
        spec=lambda w: PLAN.spec("summarise", w),
        code=lambda w: PLAN.code("summarise", w),
    shell:
        "python -m advgen summarise "
        "--tables {params.tables} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.table:q} 2> {log:q}"
