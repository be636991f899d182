rule assess_recorders:
    input:
        index=get_site_table,
        logs=get_site_logs,
        sound=get_site_products("results/segments/{shard}.sound.parquet"),
        ledger="results/coverage/sites/{site}.parquet",
    output:
        ensure("results/health/{site}.parquet", non_empty=True),
    log:
        "logs/assess_recorders/{site}.log",
    conda:
        "../../envs/batpam.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        sites=get_site_options,
        deployments=get_deployments,
        settings=format_options(**SETTINGS["health"]),
        version=STAGE_VERSIONS["health"],
    message:
        "State of the recorders at {wildcards.site}"
    shell:
        "batpam health"
        " --site {wildcards.site}"
        " {params.sites}"
        " --index {input.index:q}"
        " --logs {input.logs:q}"
        " --segments results/segments"
        " --ledger {input.ledger:q}"
        " {params.settings}"
        " --output {output:q}"
        " 2>&1 | tee {log:q}"
