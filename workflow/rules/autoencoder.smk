"""Autoencoders and their reconstructions.

In:  results/datasets/<dataset>/{train,test}.parquet, the judge
Out: results/autoencoders/<autoencoder>/seed<k>/autoencoder.safetensors, {history,reconstructions,quality}.parquet
"""


rule train_autoencoder:
    """Train one autoencoder with one seed."""
    input:
        unpack(lambda w: PLAN.inputs("train_autoencoder", w)),
    output:
        model="results/autoencoders/{autoencoder}/seed{seed}/autoencoder.safetensors",
        history="results/autoencoders/{autoencoder}/seed{seed}/history.parquet",
        snapshots="results/autoencoders/{autoencoder}/seed{seed}/snapshots.parquet",
    log:
        "results/logs/train_autoencoder/{autoencoder}/seed{seed}.log",
    benchmark:
        "results/benchmarks/train_autoencoder/{autoencoder}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("train_autoencoder", w),
        code=lambda w: PLAN.code("train_autoencoder", w),
    shell:
        "python -m advgen train-autoencoder "
        "--data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-model {output.model:q} --out-history {output.history:q} --out-snapshots {output.snapshots:q} 2> {log:q}"


rule evaluate_autoencoder:
    """Reconstruct the test images with one autoencoder and judge them."""
    input:
        unpack(lambda w: PLAN.inputs("evaluate_autoencoder", w)),
    output:
        reconstructions="results/autoencoders/{autoencoder}/seed{seed}/reconstructions.parquet",
        decoded="results/autoencoders/{autoencoder}/seed{seed}/decoded.parquet",
        quality="results/autoencoders/{autoencoder}/seed{seed}/quality.parquet",
    log:
        "results/logs/evaluate_autoencoder/{autoencoder}/seed{seed}.log",
    benchmark:
        "results/benchmarks/evaluate_autoencoder/{autoencoder}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("evaluate_autoencoder", w),
        code=lambda w: PLAN.code("evaluate_autoencoder", w),
    shell:
        "python -m advgen evaluate-autoencoder "
        "--model {input.model:q} --judge {input.judge:q} --data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-reconstructions {output.reconstructions:q} --out-decoded {output.decoded:q} --out-quality {output.quality:q} 2> {log:q}"
