rule reconcile_ledger:
    input:
        index=get_site_table,
        segments=get_site_products("results/segments/{shard}.parquet"),
        coverage=get_site_products("results/segments/{shard}.coverage.parquet"),
        detections=get_site_products("results/detections/{shard}.parquet"),
    output:
        ensure("results/coverage/sites/{site}.parquet", non_empty=True),
    log:
        "logs/reconcile_ledger/{site}.log",
    conda:
        "../../envs/batpam.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        version=STAGE_VERSIONS["ledger"],
    message:
        "Accounting for every second of {wildcards.site}"
    shell:
        "batpam ledger"
        " --site {wildcards.site}"
        " --index {input.index:q}"
        " --segments results/segments"
        " --detections results/detections"
        " --output {output:q}"
        " 2>&1 | tee {log:q}"


rule summarise_activity:
    input:
        index=get_site_table,
        ledger="results/coverage/sites/{site}.parquet",
        health="results/health/{site}.parquet",
        detections=get_site_products("results/detections/{shard}.parquet"),
        model=get_model_file,
    output:
        tables=[f"results/activity/{{site}}/{table}.{ext}" for table in TABLES for ext in ("parquet", "csv")],
    log:
        "logs/summarise_activity/{site}.log",
    conda:
        "../../envs/batpam.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        sites=get_site_options,
        deployments=get_deployments,
        model=get_model_option,
        model_hash=MODEL_HASH,
        settings=get_activity_options,
        version=STAGE_VERSIONS["activity"],
    message:
        "Passes and activity of {wildcards.site}"
    shell:
        "batpam activity"
        " --site {wildcards.site}"
        " {params.sites}"
        " --index {input.index:q}"
        " --ledger {input.ledger:q}"
        " --health {input.health:q}"
        " --detections results/detections"
        " {params.model}"
        " {params.settings}"
        " --output results/activity/{wildcards.site}"
        " 2>&1 | tee {log:q}"


rule gather_survey:
    input:
        tables=after_index("results/activity/{site}/{table}.parquet", site=SITES, table=TABLES),
        ledgers=after_index("results/coverage/sites/{site}.parquet", site=SITES),
        health=after_index("results/health/{site}.parquet", site=SITES),
    output:
        tables=[f"results/activity/{table}.{ext}" for table in TABLES for ext in ("parquet", "csv")],
        ledger=multiext("results/coverage/ledger", ".parquet", ".csv"),
        nights=multiext("results/coverage/nights", ".parquet", ".csv"),
        total="results/coverage/total.csv",
    log:
        "logs/gather_survey.log",
    conda:
        "../../envs/batpam.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        sites=[f"--site {site}" for site in SITES],
        version=STAGE_VERSIONS["activity"],
    message:
        "Gathering the tables of all sites"
    shell:
        "batpam gather"
        " {params.sites}"
        " --activity results/activity"
        " --coverage results/coverage"
        " --health results/health"
        " 2>&1 | tee {log:q}"


# after the tables are there to look at: what fails a run is not what one wants to lose
rule check_coverage:
    input:
        total="results/coverage/total.csv",
    output:
        "results/coverage/verdict.txt",
    log:
        "logs/check_coverage.log",
    conda:
        "../../envs/batpam.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="10m",
    params:
        settings=format_options(**SETTINGS["coverage"]),
        version=STAGE_VERSIONS["ledger"],
    message:
        "Looking whether enough could be analysed"
    shell:
        "batpam coverage" " --total {input.total:q}" " {params.settings}" " --output {output:q}" " 2>&1 | tee {log:q}"
