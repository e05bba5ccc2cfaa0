"""The page that shows all figures, tables and laws.

In:  figures, tables, captions
Out: results/report/index.html
"""


rule report_page:
    """Write the page that shows everything."""
    input:
        unpack(lambda w: PLAN.inputs("report_page", w)),
    output:
        page="results/report/index.html",
    log:
        "results/logs/report_page/index.log",
    benchmark:
        "results/benchmarks/report_page/index.tsv"
    threads: 1
    params:
        tables=lambda w, input: listed(input.tables),
        figures=lambda w, input: listed(input.figures),
        spec=lambda w: PLAN.spec("report_page", w),
        code=lambda w: PLAN.code("report_page", w),
    shell:
        "python -m advgen report "
        "--figures {params.figures} --tables {params.tables} --captions {input.captions:q} --templates {input.templates:q} "
        "--spec {params.spec:q} --code {params.code} "
        "--out {output.page:q} 2> {log:q}"
