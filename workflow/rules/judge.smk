"""The frozen classifier behind Fréchet distances and class counts.

In:  results/datasets/<dataset>/{train,test}.parquet
Out: results/judges/<dataset>/{judge.safetensors,history.parquet,ladder.parquet}
"""


rule train_judge:
    """Train the classifier that judges the images of one data set."""
    input:
        unpack(lambda w: PLAN.inputs("train_judge", w)),
    output:
        model="results/judges/{dataset}/judge.safetensors",
        history="results/judges/{dataset}/history.parquet",
    log:
        "results/logs/train_judge/{dataset}.log",
    benchmark:
        "results/benchmarks/train_judge/{dataset}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("train_judge", w),
        code=lambda w: PLAN.code("train_judge", w),
    shell:
        "python -m advgen train-classifier "
        "--data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-model {output.model:q} --out-history {output.history:q} 2> {log:q}"


rule calibrate_judge:
    """Measure the judge on images of known quality."""
    input:
        unpack(lambda w: PLAN.inputs("calibrate_judge", w)),
    output:
        ladder="results/judges/{dataset}/ladder.parquet",
    log:
        "results/logs/calibrate_judge/{dataset}.log",
    benchmark:
        "results/benchmarks/calibrate_judge/{dataset}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("calibrate_judge", w),
        code=lambda w: PLAN.code("calibrate_judge", w),
    shell:
        "python -m advgen calibrate-judge "
        "--judge {input.judge:q} --train {input.train:q} --test {input.test:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.ladder:q} 2> {log:q}"
