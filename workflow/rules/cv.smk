"""The living CV.

In:  config/cv/*, tables and figures that the profile names
Out: results/cv/cv.{json,pdf,html,md,tex,resume.json}, the same for each variant
"""


rule cv_data:
    """Read profile, publications and metrics, and look up living values."""
    input:
        unpack(lambda w: PLAN.inputs("cv_data", w)),
    output:
        cv="results/cv/{variant}.json",
    log:
        "results/logs/cv_data/{variant}.log",
    benchmark:
        "results/benchmarks/cv_data/{variant}.tsv"
    threads: 1
    params:
        spec=lambda w: PLAN.spec("cv_data", w),
        code=lambda w: PLAN.code("cv_data", w),
    shell:
        "python -m advgen cv-data "
        "--profile {input.profile:q} --overlay {input.overlay:q} --bibliography {input.bibliography:q} "
        "--metrics {input.metrics:q} --tables {input.tables:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.cv:q} 2> {log:q}"


rule cv_render:
    """Write the CV in one format."""
    input:
        unpack(lambda w: PLAN.inputs("cv_render", w)),
    output:
        file="results/cv/{variant}.{format}",
    log:
        "results/logs/cv_render/{variant}.{format}.log",
    benchmark:
        "results/benchmarks/cv_render/{variant}.{format}.tsv"
    threads: 1
    params:
        spec=lambda w: PLAN.spec("cv_render", w),
        code=lambda w: PLAN.code("cv_render", w),
    shell:
        "python -m advgen cv-render "
        "--cv {input.cv:q} --figures {input.figures:q} --templates {input.templates:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.file:q} 2> {log:q}"
