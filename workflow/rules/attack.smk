"""Adversarial examples.

In:  a classifier, results/datasets/<dataset>/test.parquet
Out: results/attacks/<source>/seed<k>/<attack>.parquet
"""


rule craft:
    """Attack one source model with one attack."""
    input:
        unpack(lambda w: PLAN.inputs("craft", w)),
    output:
        examples="results/attacks/{source}/seed{seed}/{attack}.parquet",
    log:
        "results/logs/craft/{source}/seed{seed}/{attack}.log",
    benchmark:
        "results/benchmarks/craft/{source}/seed{seed}/{attack}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("craft", w),
        code=lambda w: PLAN.code("craft", w),
    shell:
        "python -m advgen craft "
        "--model {input.model:q} --data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.examples:q} 2> {log:q}"


rule linearity:
    """Follow a classifier's logits along the sign of the input gradient."""
    input:
        unpack(lambda w: PLAN.inputs("linearity", w)),
    output:
        logits="results/linearities/{linearity}/{source}--seed{seed}.parquet",
    log:
        "results/logs/linearity/{linearity}/{source}--seed{seed}.log",
    benchmark:
        "results/benchmarks/linearity/{linearity}/{source}--seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("linearity", w),
        code=lambda w: PLAN.code("linearity", w),
    shell:
        "python -m advgen linearity "
        "--model {input.model:q} --data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.logits:q} 2> {log:q}"


rule converge:
    """Attack one classifier step by step from many starts."""
    input:
        unpack(lambda w: PLAN.inputs("converge", w)),
    output:
        steps="results/convergences/{convergence}/{source}--seed{seed}.parquet",
    log:
        "results/logs/converge/{convergence}/{source}--seed{seed}.log",
    benchmark:
        "results/benchmarks/converge/{convergence}/{source}--seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("converge", w),
        code=lambda w: PLAN.code("converge", w),
    shell:
        "python -m advgen converge "
        "--model {input.model:q} --data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.steps:q} 2> {log:q}"


rule simulate:
    """Run one simulation on a made-up distribution."""
    input:
        unpack(lambda w: PLAN.inputs("simulate", w)),
    output:
        series="results/simulations/{simulation}.parquet",
    log:
        "results/logs/simulate/{simulation}.log",
    benchmark:
        "results/benchmarks/simulate/{simulation}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("simulate", w),
        code=lambda w: PLAN.code("simulate", w),
    shell:
        "python -m advgen simulate " "--spec {params.spec:q} --code {params.code} " "--out {output.series:q} 2> {log:q}"
