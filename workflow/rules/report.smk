rule report_site:
    input:
        tables=after_index("results/activity/{site}/{table}.parquet", table=TABLES),
        ledger=after_index("results/coverage/sites/{site}.parquet"),
        health=after_index("results/health/{site}.parquet"),
    output:
        report("results/report/sites/{site}.html", category="Site activity", labels={"site": "{site}"}),
    log:
        "logs/report_site/{site}.log",
    conda:
        "../../envs/batpam.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        sites=get_site_options,
        deployments=get_deployments,
        model=get_model_option,
        model_hash=MODEL_HASH,
        title=get_title,
        version=STAGE_VERSIONS["report"],
    message:
        "Writing the report of {wildcards.site}"
    shell:
        "batpam report"
        " --site {wildcards.site}"
        " {params.sites}"
        " {params.model}"
        " --activity results/activity/{wildcards.site}"
        " --ledger {input.ledger:q}"
        " --health {input.health:q}"
        " --title {params.title:q}"
        " --output {output:q}"
        " 2>&1 | tee {log:q}"


rule report_survey:
    input:
        tables=after_index("results/activity/{table}.parquet", table=TABLES),
        ledger=after_index("results/coverage/ledger.parquet"),
        health=after_index("results/coverage/nights.parquet"),
    output:
        report("results/report/index.html", category="Survey", labels={"page": "survey"}),
    log:
        "logs/report_survey.log",
    conda:
        "../../envs/batpam.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="30m",
    params:
        sites=get_site_options,
        deployments=get_all_deployments,
        model=get_model_option,
        model_hash=MODEL_HASH,
        title=get_title,
        version=STAGE_VERSIONS["report"],
    message:
        "Writing the report of the survey"
    shell:
        "batpam report"
        " {params.sites}"
        " {params.model}"
        " --activity results/activity"
        " --ledger {input.ledger:q}"
        " --health {input.health:q}"
        " --title {params.title:q}"
        " --output {output:q}"
        " 2>&1 | tee {log:q}"
