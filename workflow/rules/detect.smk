rule detect_calls:
    input:
        shard="results/scalograms/{shard}.h5",
        manifest="results/index/manifests/{shard}.parquet",
        model=get_model_file,
        species_list=get_species_list,
    output:
        ensure("results/detections/{shard}.parquet", non_empty=True),
    log:
        "logs/detect_calls/{shard}.log",
    benchmark:
        "benchmarks/detect_calls/{shard}.tsv"
    conda:
        "../../envs/batpam.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime="8h",
        gpu=count_gpus("detect"),
    params:
        model=get_model_option,
        model_hash=MODEL_HASH,
        settings=format_options(min_score=SETTINGS["detect"]["min_score"], device=SETTINGS["detect"]["device"]),
        species=get_species_option,
        version=STAGE_VERSIONS["detect"],
    message:
        "Detecting bat calls in {wildcards.shard}"
    shell:
        "batpam detect"
        " --shard {input.shard:q}"
        " --manifest {input.manifest:q}"
        " {params.model}"
        " {params.settings}"
        " {params.species}"
        " --workers {threads}"
        " --output {output:q}"
        " 2>&1 | tee {log:q}"
