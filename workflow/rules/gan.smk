"""Generators trained against discriminators, their samples and their quality.

In:  results/datasets/<dataset>/{train,test}.parquet, the judge
Out: results/gans/<gan>/seed<k>/{generator,discriminator}.safetensors, {history,samples,quality}.parquet
"""


rule train_gan:
    """Train one GAN with one seed."""
    input:
        unpack(lambda w: PLAN.inputs("train_gan", w)),
    output:
        generator="results/gans/{gan}/seed{seed}/generator.safetensors",
        discriminator="results/gans/{gan}/seed{seed}/discriminator.safetensors",
        history="results/gans/{gan}/seed{seed}/history.parquet",
    log:
        "results/logs/train_gan/{gan}/seed{seed}.log",
    benchmark:
        "results/benchmarks/train_gan/{gan}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("train_gan", w),
        code=lambda w: PLAN.code("train_gan", w),
    shell:
        "python -m advgen train-gan "
        "--data {input.data:q} --judge {input.judge:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-generator {output.generator:q} --out-discriminator {output.discriminator:q} --out-history {output.history:q} 2> {log:q}"


rule evaluate_gan:
    """Draw samples of one generator and judge them."""
    input:
        unpack(lambda w: PLAN.inputs("evaluate_gan", w)),
    output:
        samples="results/gans/{gan}/seed{seed}/samples.parquet",
        quality="results/gans/{gan}/seed{seed}/quality.parquet",
    log:
        "results/logs/evaluate_gan/{gan}/seed{seed}.log",
    benchmark:
        "results/benchmarks/evaluate_gan/{gan}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("evaluate_gan", w),
        code=lambda w: PLAN.code("evaluate_gan", w),
    shell:
        "python -m advgen evaluate-gan "
        "--generator {input.generator:q} --discriminator {input.discriminator:q} --history {input.history:q} --judge {input.judge:q} --data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-samples {output.samples:q} --out-quality {output.quality:q} 2> {log:q}"


rule truncate:
    """Judge a generator's samples from truncated latent vectors."""
    input:
        unpack(lambda w: PLAN.inputs("truncate", w)),
    output:
        quality="results/truncations/{truncation}/{generator}--seed{seed}.parquet",
    log:
        "results/logs/truncate/{truncation}/{generator}--seed{seed}.log",
    benchmark:
        "results/benchmarks/truncate/{truncation}/{generator}--seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("truncate", w),
        code=lambda w: PLAN.code("truncate", w),
    shell:
        "python -m advgen truncate "
        "--generator {input.generator:q} --judge {input.judge:q} --data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.quality:q} 2> {log:q}"
