"""Compare every artefact with the plan. The command plans the study itself, so it has no spec.

In:  all artefacts
Out: results/report/verify.md (exists only while nothing is wrong)
"""


rule verify:
    input:
        unpack(lambda w: PLAN.inputs("verify", w)),
    output:
        verdict="results/report/verify.md",
    log:
        "results/logs/verify/verify.log",
    localrule: True
    threads: 1
    params:
        study=PLAN.study,
        code=lambda w: PLAN.code("verify", w),
        benchmark="results/benchmarks/verify/verify.tsv",
    shell:
        "python -m advgen verify {params.study:q} --out {output.verdict:q} "
        "--benchmark {params.benchmark:q} > {log:q} 2>&1"


snakemake_adapter.set_docstring(rules, "verify", catalog.RULES["verify"].help_text())
