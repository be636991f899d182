rule segment_recordings:
    input:
        manifest="results/index/manifests/{shard}.parquet",
    output:
        segments=ensure("results/segments/{shard}.parquet", non_empty=True),
        coverage=ensure("results/segments/{shard}.coverage.parquet", non_empty=True),
        sound=ensure("results/segments/{shard}.sound.parquet", non_empty=True),
    log:
        "logs/segment_recordings/{shard}.log",
    benchmark:
        "benchmarks/segment_recordings/{shard}.tsv"
    conda:
        "../../envs/batpam.yaml"
    threads: 2
    resources:
        mem_mb=1000,
        runtime="4h",
    params:
        settings=format_options(hop=SETTINGS["scalogram"]["hop"], **SETTINGS["segment"]),
        version=STAGE_VERSIONS["segment"],
    message:
        "Finding ultrasonic activity in {wildcards.shard}"
    shell:
        "batpam segment"
        " --manifest {input.manifest:q}"
        " {params.settings}"
        " --workers {threads}"
        " --output {output.segments:q}"
        " --coverage {output.coverage:q}"
        " --sound {output.sound:q}"
        " 2>&1 | tee {log:q}"
