import hashlib
import json
import os
import re
import shlex
import subprocess
import sys

import pandas as pd

# counted up with batpam.STAGE_VERSIONS, so that a stage reruns when its result changes and only then
STAGE_VERSIONS = {
    "simulate": 11,
    "index": 4,
    "segment": 4,
    "scalogram": 2,
    "detect": 6,
    "ledger": 1,
    "health": 2,
    "activity": 5,
    "report": 4,
    "train": 11,
}

DEMO = "results/demo"
TABLES = ("passes", "activity", "nights")


def check_settings():
    """Settings with their defaults, the sites and their folders; a mistake ends the run with one line."""
    result = subprocess.run(
        ["batpam", "check", "--demo", DEMO, "--override", json.dumps(config)], capture_output=True, text=True
    )
    if result.returncode:
        print(result.stderr.strip(), file=sys.stderr)
        sys.exit(1)
    return json.loads(result.stdout)


CHECKED = check_settings()
SETTINGS = CHECKED["config"]
MODEL_HASH = CHECKED["model_hash"]
SITES = sorted({deployment["site"] for deployment in CHECKED["sites"]})
SYSTEM_FOLDERS = re.compile(CHECKED["system_folders"], re.IGNORECASE | re.DOTALL)
FOLDERS = sorted({folder for folders in CHECKED["folders"].values() for folder in folders})


wildcard_constraints:
    site=r"[A-Za-z0-9][A-Za-z0-9.-]*",
    shard=r"[A-Za-z0-9][A-Za-z0-9.-]*_(\d{4}-\d{2}-\d{2}|undated)_[a-z0-9][a-z0-9.-]*-\d+",


def format_option(key, value):
    name = key.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    if isinstance(value, dict):  # an option for each entry: --threshold NAME=VALUE
        return " ".join(format_option(key.removesuffix("s"), f"{entry}={value[entry]}") for entry in sorted(value))
    return f"--{name} {shlex.quote(str(value))}"


def format_options(**settings):
    """Settings as options of a command, in one text: Snakemake would not see two values change places."""
    return " ".join(filter(None, (format_option(key, value) for key, value in settings.items())))


def get_folders(wildcards):
    """Folders of recordings; by a function, because Snakemake would take braces in their names for wildcards."""
    return FOLDERS


def get_activity_options(wildcards):
    """By a function, because of braces in the names of taxa."""
    return format_options(**SETTINGS["activity"])


def get_title(wildcards):
    return SETTINGS["title"]


def get_all_deployments(wildcards):
    return json.dumps(CHECKED["sites"], sort_keys=True)


def get_site_sheet(wildcards):
    return [] if SETTINGS["recordings"] else SETTINGS["sites"]


def get_site_options(wildcards=None):
    if SETTINGS["recordings"]:
        return format_options(recordings=SETTINGS["recordings"], timezone=SETTINGS["timezone"])
    return format_options(sites=SETTINGS["sites"])


def get_model_option(wildcards=None):
    """Model as an option; none for the one that comes with batpam."""
    return format_options(model=SETTINGS["detect"]["model"]) if SETTINGS["detect"]["model"] else ""


def get_model_file(wildcards):
    """The model's files as inputs; of the one that comes with batpam the rules know the hash."""
    model = SETTINGS["detect"]["model"]
    return [model, model.removesuffix(".safetensors") + ".json"] if model else []


def get_species_option(wildcards=None):
    """The list of species that may occur, as an option; none if all may."""
    listed = SETTINGS["detect"]["species_list"]
    return format_options(species_list=listed) if listed else ""


def get_species_list(wildcards):
    """The list of species that may occur, as an input; none if all may."""
    return SETTINGS["detect"]["species_list"] or []


def get_fingerprint(wildcards):
    """Names, sizes and times of all that lies in the folders of recordings: changes when a recording comes or goes."""
    follow = SETTINGS["index"]["follow_links"]
    digest, visited = hashlib.sha256(), set()
    for folder in FOLDERS:
        for top, subfolders, names in os.walk(folder, followlinks=follow):
            if os.path.realpath(top) in visited:  # a link may lead round to where it lies
                subfolders.clear()
                continue
            visited.add(os.path.realpath(top))
            subfolders[:] = sorted(sub for sub in subfolders if not SYSTEM_FOLDERS.fullmatch(sub))
            for name in sorted(names):
                if name.startswith(".snakemake"):
                    continue
                path = os.path.join(top, name)
                try:
                    status = os.stat(path, follow_symlinks=follow and os.path.exists(path))
                    state = f"{status.st_size}\0{status.st_mtime_ns}"
                except OSError:  # a copy that is under way renames its temporary files
                    state = "gone"
                digest.update(os.fsencode(f"{path}\0{state}\n"))
    return digest.hexdigest()[:16]


def get_deployments(wildcards):
    """The rows of a site in the sheet, as text: what is made of a site depends on them."""
    rows = [d for d in CHECKED["sites"] if d["site"] == wildcards.site]
    return json.dumps(rows, sort_keys=True)


def get_shards(wildcards):
    """Names of the shards of a site."""
    table = pd.read_csv(checkpoints.index_recordings.get().output.shards, sep="\t", dtype=str, keep_default_na=False)
    return sorted(table.loc[table["site"] == wildcards.site, "shard"])


def get_site_products(pattern):
    """Input function: a file per shard of the site."""

    def products(wildcards):
        return expand(pattern, shard=get_shards(wildcards))

    return products


def after_index(*patterns, **values):
    """Input function: files that are known without the index, but asked for after it.

    A job that is planned before a checkpoint and does not ask for it keeps the reasons it had then: every new index
    would write every page.
    """

    def files(wildcards):
        checkpoints.index_recordings.get()
        return expand(patterns, **values, **wildcards)

    return files


def get_site_table(wildcards):
    checkpoints.index_recordings.get()
    return f"results/index/sites/{wildcards.site}.parquet"


def get_site_logs(wildcards):
    checkpoints.index_recordings.get()
    return f"results/index/logs/{wildcards.site}.parquet"


def count_gpus(stage):
    return 1 if SETTINGS[stage]["device"] == "cuda" else 0
