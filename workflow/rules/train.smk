# Not part of `all`: `snakemake --cores all results/models/europe.safetensors` makes the shipped model anew.
rule train_model:
    input:
        taxa="config/taxa/{model}.tsv",
    output:
        weights="results/models/{model}.safetensors",
        card="results/models/{model}.json",
    log:
        "logs/train_model/{model}.log",
    benchmark:
        "benchmarks/train_model/{model}.tsv"
    conda:
        "../../envs/batpam.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime="12h",
        gpu=count_gpus("detect"),
    params:
        device=SETTINGS["detect"]["device"],
        settings=format_options(**SETTINGS["scalogram"]),
        version=STAGE_VERSIONS["train"],
    message:
        "Training a model for {wildcards.model}"
    shell:
        "batpam train"
        " --taxa {input.taxa:q}"
        " {params.settings}"
        " --device {params.device}"
        " --workers {threads}"
        " --output {output.weights:q}"
        " 2>&1 | tee {log:q}"
