# Beside its outputs it keeps results/index/sites/{site}.parquet and results/index/manifests/{shard}.parquet, and leaves
# alone those that did not change: what depends on them is not done again.
checkpoint index_recordings:
    input:
        sheet=get_site_sheet,
        folders=get_folders,
    output:
        recordings="results/index/recordings.parquet",
        shards="results/index/shards.tsv",
    log:
        "logs/index_recordings.log",
    benchmark:
        "benchmarks/index_recordings/survey.tsv"
    conda:
        "../../envs/batpam.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime="2h",
    params:
        sites=get_site_options,
        settings=format_options(**SETTINGS["index"]),
        fingerprint=get_fingerprint,
        version=STAGE_VERSIONS["index"],
    message:
        "Indexing the recordings"
    shell:
        "batpam index"
        " {params.sites}"
        " {params.settings}"
        " --workers {threads}"
        " --output results/index"
        " 2>&1 | tee {log:q}"
