rule simulate_survey:
    output:
        recordings=[directory(f"{DEMO}/recordings/{site}") for site in ("orchard", "riverside")],
        truth=f"{DEMO}/truth.parquet",
    log:
        "logs/simulate_survey.log",
    benchmark:
        "benchmarks/simulate_survey/demo.tsv"
    conda:
        "../../envs/batpam.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime="30m",
    params:
        version=STAGE_VERSIONS["simulate"],
    message:
        "Simulating the demo survey"
    shell:
        "batpam simulate" " --output $(dirname {output.truth:q})" " --workers {threads}" " 2>&1 | tee {log:q}"
