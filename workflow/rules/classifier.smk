"""Classifiers to attack, trained or taken out of other models, and their test errors.

In:  results/datasets/<dataset>/{train,test}.parquet, discriminators, autoencoders
Out: results/{classifiers,probes}/<name>/seed<k>/{classifier.safetensors,history.parquet},
     results/tables/{classifiers,models}.parquet
"""


rule train_classifier:
    """Train one classifier with one seed."""
    input:
        unpack(lambda w: PLAN.inputs("train_classifier", w)),
    output:
        model="results/classifiers/{classifier}/seed{seed}/classifier.safetensors",
        history="results/classifiers/{classifier}/seed{seed}/history.parquet",
    log:
        "results/logs/train_classifier/{classifier}/seed{seed}.log",
    benchmark:
        "results/benchmarks/train_classifier/{classifier}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("train_classifier", w),
        code=lambda w: PLAN.code("train_classifier", w),
    shell:
        "python -m advgen train-classifier "
        "--data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-model {output.model:q} --out-history {output.history:q} 2> {log:q}"


rule evaluate_classifiers:
    """Measure the test error of all classifiers and probes."""
    input:
        unpack(lambda w: PLAN.inputs("evaluate_classifiers", w)),
    output:
        table="results/tables/classifiers.parquet",
    log:
        "results/logs/evaluate_classifiers/classifiers.log",
    benchmark:
        "results/benchmarks/evaluate_classifiers/classifiers.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        data=lambda w, input: listed(input.data),
        histories=lambda w, input: listed(input.histories),
        models=lambda w, input: listed(input.models),
        spec=lambda w: PLAN.spec("evaluate_classifiers", w),
        code=lambda w: PLAN.code("evaluate_classifiers", w),
    shell:
        "python -m advgen evaluate-classifiers "
        "--models {params.models} --histories {params.histories} --data {params.data} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.table:q} 2> {log:q}"


rule train_probe:
    """Take a classifier out of another model."""
    input:
        unpack(lambda w: PLAN.inputs("train_probe", w)),
    output:
        model="results/probes/{probe}/seed{seed}/classifier.safetensors",
        history="results/probes/{probe}/seed{seed}/history.parquet",
    log:
        "results/logs/train_probe/{probe}/seed{seed}.log",
    benchmark:
        "results/benchmarks/train_probe/{probe}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda w: PLAN.spec("train_probe", w),
        code=lambda w: PLAN.code("train_probe", w),
    shell:
        "python -m advgen train-probe "
        "--model {input.model:q} --data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out-model {output.model:q} --out-history {output.history:q} 2> {log:q}"


rule count_parameters:
    """Count the parameters of every named model."""
    input:
        unpack(lambda w: PLAN.inputs("count_parameters", w)),
    output:
        table="results/tables/models.parquet",
    log:
        "results/logs/count_parameters/models.log",
    benchmark:
        "results/benchmarks/count_parameters/models.tsv"
    threads: 1
    params:
        spec=lambda w: PLAN.spec("count_parameters", w),
        code=lambda w: PLAN.code("count_parameters", w),
    shell:
        "python -m advgen count-parameters "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.table:q} 2> {log:q}"
