"""Every job is one command: files in, spec and digest of its code, files out.

What a rule does, reads and makes is told by its task, in src/advgen/experiments/<kind>/experiment.py or
src/advgen/outcomes/<kind>/outcome.py; docs/rules.md lists all of them. The rules that need more stand in the other files.
"""

from functools import partial

for TASK in catalog.RULES.values():
    if TASK.own_rule:
        continue

    rule:
        name:
            TASK.rule
        input:
            unpack(partial(PLAN.inputs, TASK.rule)),
        output:
            **TASK.outputs,
        log:
            paths.log(TASK.rule, TASK.outputs),
        priority: TASK.priority
        localrule: TASK.local
        threads: 1
        resources:
            gpu=partial(PLAN.gpus, TASK.rule),
        params:
            command=TASK.command,
            files=partial(PLAN.arguments, TASK.rule),
            spec=partial(PLAN.spec, TASK.rule),
            code=partial(PLAN.code, TASK.rule),
            made=partial(PLAN.products, TASK.rule),
            benchmark=paths.benchmark(TASK.rule, TASK.outputs),
        # read when the job starts, when the loop is long over: everything of the rule's own stands in params
        shell:
            "python -m advgen {params.command} {params.files} --spec {params.spec:q} --code {params.code} "
            "{params.made} --benchmark {params.benchmark:q} > {log:q} 2>&1"

    getattr(rules, TASK.rule).rule.docstring = TASK.sentence()
