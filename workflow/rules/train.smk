# Not part of `all`: `snakemake --cores all results/models/europe.safetensors` makes the shipped model anew.
rule train_model:
    input:
        config="config/training.yaml",
        taxa="config/taxa/europe.tsv",
    output:
        weights="results/models/europe.safetensors",
        card="results/models/europe.json",
    log:
        "logs/train_model/europe.log",
    benchmark:
        "benchmarks/train_model/europe.tsv"
    conda:
        "../../envs/batpam.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime="12h",
        gpu=count_gpus("detect"),
    params:
        version=STAGE_VERSIONS["train"],
    message:
        "Training the model europe"
    shell:
        "batpam train"
        " --config {input.config:q}"
        " --workers {threads}"
        " --output {output.weights:q}"
        " 2>&1 | tee {log:q}"
