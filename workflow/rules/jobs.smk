"""Every job is one command: files in, spec and digest of its code, files out.

What a rule does, reads and makes is told by its task, in src/advgen/experiments/<kind>/experiment.py or
src/advgen/outcomes/<kind>/outcome.py; docs/rules.md lists all of them. The rules that need more stand in the other files.
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
        # read when the job starts, when the loop is long over: everything of the rule's own stands in params
        shell:
            "python -m advgen {params.command} {params.files} --spec {params.spec:q} --code {params.code} "
            "--benchmark {params.benchmark:q} > {log:q} 2>&1"

    snakemake_adapter.set_docstring(rules, TASK.rule, TASK.help_text())
