"""Laws of honest evaluation, and every artefact against the plan.

In:  per-example and per-run tables; all artefacts
Out: results/tables/laws.parquet, results/report/{qa,verify}.md (exist only while nothing is broken)
"""


rule check_laws:
    """Test the laws on the tables."""
    input:
        unpack(lambda w: PLAN.inputs("check_laws", w)),
    output:
        laws="results/tables/laws.parquet",
    log:
        "results/logs/check_laws/laws.log",
    benchmark:
        "results/benchmarks/check_laws/laws.tsv"
    threads: 1
    params:
        tables=lambda w, input: listed(input.tables),
        spec=lambda w: PLAN.spec("check_laws", w),
        code=lambda w: PLAN.code("check_laws", w),
    shell:
        "python -m advgen check-laws "
        "--tables {params.tables} --data {input.data:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.laws:q} 2> {log:q}"


rule qa:
    """Fail if a law is broken; the last job, so that everything else exists by then."""
    input:
        unpack(lambda w: PLAN.inputs("qa", w)),
    output:
        verdict="results/report/qa.md",
    log:
        "results/logs/qa/qa.log",
    benchmark:
        "results/benchmarks/qa/qa.tsv"
    priority: -10
    threads: 1
    params:
        spec=lambda w: PLAN.spec("qa", w),
        code=lambda w: PLAN.code("qa", w),
    shell:
        "python -m advgen qa "
        "--laws {input.laws:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.verdict:q} 2> {log:q}"


rule verify:
    """Fail if an artefact does not agree with the plan: spec, code, inputs, content."""
    input:
        unpack(lambda w: PLAN.inputs("verify", w)),
    output:
        verdict="results/report/verify.md",
    log:
        "results/logs/verify/verify.log",
    benchmark:
        "results/benchmarks/verify/verify.tsv"
    threads: 1
    params:
        study=PLAN.study,
        code=lambda w: PLAN.code("verify", w),
    shell:
        "python -m advgen verify {params.study:q} --out {output.verdict:q} 2> {log:q}"
