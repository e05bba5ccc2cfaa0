"""Latent vectors whose images are nearest to test images.

In:  a generator, the judge, results/datasets/<dataset>/test.parquet
Out: results/inversions/<inversion>/<generator>--seed<k>.parquet
"""


rule invert:
    """Search the latent space of one generator for test images."""
    input:
        unpack(lambda w: PLAN.inputs("invert", w)),
    output:
        inversion="results/inversions/{inversion}/{generator}--seed{seed}.parquet",
    log:
        "results/logs/invert/{inversion}/{generator}--seed{seed}.log",
    benchmark:
        "results/benchmarks/invert/{inversion}/{generator}--seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("invert", w),
        code=lambda w: PLAN.code("invert", w),
    shell:
        "python -m advgen invert "
        "--generator {input.generator:q} --judge {input.judge:q} --data {input.data:q} --encoder {input.encoder:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.inversion:q} 2> {log:q}"


rule train_encoder:
    """Train an encoder that gives searches in one generator a start."""
    input:
        unpack(lambda w: PLAN.inputs("train_encoder", w)),
    output:
        model="results/encoders/{encoder}/seed{seed}/encoder.safetensors",
        history="results/encoders/{encoder}/seed{seed}/history.parquet",
    log:
        "results/logs/train_encoder/{encoder}/seed{seed}.log",
    benchmark:
        "results/benchmarks/train_encoder/{encoder}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("train_encoder", w),
        code=lambda w: PLAN.code("train_encoder", w),
    shell:
        "python -m advgen train-encoder "
        "--generator {input.generator:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-model {output.model:q} --out-history {output.history:q} 2> {log:q}"
