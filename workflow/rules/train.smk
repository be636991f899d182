# Not part of `all`: `snakemake --cores all results/models/europe.safetensors` makes the shipped model anew.
# It goes on from the one before, whose weights the code of commit e2d0201 made from nothing.
rule get_first_model:
    output:
        weights="results/models/europe-1.safetensors",
        card="results/models/europe-1.json",
    log:
        "logs/get_first_model.log",
    conda:
        "../../envs/batpam.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="10m",
    params:
        commit="a772ff7",
    message:
        "Taking the model to start from out of the history"
    shell:
        "(git show {params.commit}:batpam/models/europe.safetensors > {output.weights:q}"
        " && git show {params.commit}:batpam/models/europe.json > {output.card:q})"
        " 2>&1 | tee {log:q}"


rule train_model:
    input:
        config="config/training.yaml",
        taxa="config/taxa/europe.tsv",
        start=rules.get_first_model.output,
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
