"""Test images restored from behind masks.

In:  a generator, the judge, results/datasets/<dataset>/test.parquet
Out: results/inpaintings/<inpainting>/<generator>--seed<k>.parquet
"""


rule inpaint:
    """Restore test images with one generator, every mask and method."""
    input:
        unpack(lambda w: PLAN.inputs("inpaint", w)),
    output:
        inpainting="results/inpaintings/{inpainting}/{generator}--seed{seed}.parquet",
    log:
        "results/logs/inpaint/{inpainting}/{generator}--seed{seed}.log",
    benchmark:
        "results/benchmarks/inpaint/{inpainting}/{generator}--seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("inpaint", w),
        code=lambda w: PLAN.code("inpaint", w),
    shell:
        "python -m advgen inpaint "
        "--generator {input.generator:q} --judge {input.judge:q} --data {input.data:q} --discriminator {input.discriminator:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.inpainting:q} 2> {log:q}"
