"""One rule per task. Every job is one command with input files, a spec, a digest of its code, and output files.

The task classes are in src/advgen/experiments/<kind>/experiment.py and src/advgen/outcomes/<kind>/outcome.py;
docs/rules.md lists all rules. Rules that need more than this are in the other files of this folder.
"""

for TASK in catalog.RULES.values():
    if TASK.has_custom_rule:
        continue

    rule:
        name:
            TASK.rule
        input:
            unpack(PLAN.bind("inputs", TASK.rule)),
        output:
            **TASK.outputs,
        log:
            paths.log_file(TASK.rule, TASK.outputs),
        priority: TASK.priority
        localrule: TASK.local
        threads: 1
        resources:
            gpu=PLAN.gpus(TASK.rule),
        params:
            command=TASK.command,
            files=PLAN.bind("files", TASK.rule),
            spec=PLAN.bind("spec", TASK.rule),
            code=PLAN.bind("code", TASK.rule),
            benchmark=paths.benchmark_file(TASK.rule, TASK.outputs),
        # formatted when the job starts, after the loop has ended, so it uses only params
        shell:
            "python -m advgen {params.command} {params.files} --spec {params.spec:q} --code {params.code} "
            "--benchmark {params.benchmark:q} > {log:q} 2>&1"

    snakemake_adapter.set_docstring(rules, TASK.rule, TASK.help_text())
