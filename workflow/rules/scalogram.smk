rule compute_scalograms:
    input:
        manifest="results/index/manifests/{shard}.parquet",
        segments="results/segments/{shard}.parquet",
    output:
        ensure("results/scalograms/{shard}.h5", non_empty=True),
    log:
        "logs/compute_scalograms/{shard}.log",
    benchmark:
        "benchmarks/compute_scalograms/{shard}.tsv"
    conda:
        "../../envs/batpam.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime="8h",
        gpu=count_gpus("scalogram"),
    params:
        settings=format_options(**SETTINGS["scalogram"]),
        version=STAGE_VERSIONS["scalogram"],
    message:
        "Computing scalograms of {wildcards.shard}"
    shell:
        "batpam scalogram"
        " --manifest {input.manifest:q}"
        " --segments {input.segments:q}"
        " {params.settings}"
        " --workers {threads}"
        " --output {output:q}"
        " 2>&1 | tee {log:q}"
