"""Figures, which are also in Snakemake's own report.

In:  tables that the figure's spec names, the plot style
Out: results/figures/<figure>.{pdf,png,dark.png}, and its data as .json
"""


rule draw:
    input:
        unpack(lambda w: PLAN.inputs("draw", w)),
    output:
        pdf="results/figures/{figure}.pdf",
        png=report("results/figures/{figure}.png", caption="../report/figure.rst", category="Figures"),
        dark="results/figures/{figure}.dark.png",
        finding="results/figures/{figure}.json",
    log:
        "results/logs/draw/{figure}.log",
    localrule: True
    threads: 1
    params:
        files=lambda w, input, output: PLAN.files("draw", w, input, output),
        spec=lambda w: PLAN.spec("draw", w),
        code=lambda w: PLAN.code("draw", w),
        benchmark="results/benchmarks/draw/{figure}.tsv",
    shell:
        "python -m advgen draw {params.files} --spec {params.spec:q} --code {params.code} "
        "--benchmark {params.benchmark:q} > {log:q} 2>&1"


snakemake_adapter.set_docstring(rules, "draw", catalog.RULES["draw"].help_text())
