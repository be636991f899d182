"""Entry point: `snakemake --cores all` from the repository root."""


include: "workflow/Snakefile"


workflow.default_target = "all"
