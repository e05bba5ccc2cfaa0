"""Frames between pairs of test images.

In:  a generator or autoencoder, the judge, results/datasets/<dataset>/test.parquet
Out: results/interpolations/<interpolation>/<model>--seed<k>.parquet
"""


rule interpolate:
    """Walk between pairs of test images in the latent space of one model."""
    input:
        unpack(lambda w: PLAN.inputs("interpolate", w)),
    output:
        interpolation="results/interpolations/{interpolation}/{model}--seed{seed}.parquet",
    log:
        "results/logs/interpolate/{interpolation}/{model}--seed{seed}.log",
    benchmark:
        "results/benchmarks/interpolate/{interpolation}/{model}--seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("interpolate", w),
        code=lambda w: PLAN.code("interpolate", w),
    shell:
        "python -m advgen interpolate "
        "--model {input.model:q} --judge {input.judge:q} --data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.interpolation:q} 2> {log:q}"
