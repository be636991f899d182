"""The command line: one subcommand per stage, options in, function called, exit status out."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from batpam import __version__
from batpam.errors import AudioError, UserError

app = typer.Typer(
    help="Which bats were active where and when: ultrasonic recordings in, activity tables and reports out.\n\n"
    "The stages in the order of the data: simulate (or your recordings), index, segment, scalogram, detect, ledger, "
    "health, activity, gather, coverage, report. `snakemake --cores all` runs them all; each can be run by hand.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

ConfigFile = Annotated[Path, typer.Option(help="Configuration file.")]
Sites = Annotated[Path | None, typer.Option(help="Site sheet (tab-separated).")]
Folder = Annotated[Path | None, typer.Option(help="Instead: a folder with a sub-folder per site.")]
Zone = Annotated[str, typer.Option(help="IANA time zone of the sites of --recordings.")]
Workers = Annotated[int, typer.Option(min=1, help="Threads or processes.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Output = Annotated[Path, typer.Option(help="What is written.")]
Manifest = Annotated[Path, typer.Option(help="Manifest of the shard.")]
SpeciesList = Annotated[
    Path | None, typer.Option(help="Table with a column `code` of the species that may occur; all if not given.")
]
Model = Annotated[Path | None, typer.Option(help="Model file; the one that comes with batpam if not given.")]
MinTaxonScore = Annotated[float, typer.Option(help="Probability from which a taxon is named.")]
Thresholds = Annotated[
    list[str] | None,
    typer.Option("--threshold", help="What a species, group or family needs instead: NAME=PROBABILITY, once for each."),
]
Wavelet = Annotated[str, typer.Option(help="Complex wavelet as PyWavelets names it.")]
FMin = Annotated[float, typer.Option(help="Centre of the lowest voice, Hz.")]
FMax = Annotated[float, typer.Option(help="Centre of the highest voice, Hz.")]
Voices = Annotated[int, typer.Option(help="Number of voices.")]
Spacing = Annotated[str, typer.Option(help="log or linear: what the voices are spaced evenly in.")]
Hop = Annotated[float, typer.Option(help="Time that power is pooled over, s.")]


def main() -> None:
    """Run the command line; a mistake that a user can mend is one line and exit status 1."""
    try:
        app()
    except (UserError, AudioError) as error:
        _fail(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        said = os.strerror(error.errno).lower() if error.errno else str(error)
        _fail(f"{place}{said}; mend that and run again, nothing half-written was left")


def _fail(message: str) -> None:
    print(f"batpam: {message}", file=sys.stderr, flush=True)
    if "h5py" in sys.modules:  # HDF5 crashes when the interpreter closes a file that could not be written
        os._exit(1)
    sys.exit(1)


def _example(command: str) -> str:
    return f"Example: [bold]{command}[/bold]"


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def _deployments(sites: Path | None, recordings: Path | None, timezone: str) -> Any:
    from batpam.survey import read_sites, sites_of_folder

    if recordings is not None:
        return sites_of_folder(recordings, timezone)
    if sites is None:
        raise UserError("name the sites: --sites SHEET or --recordings FOLDER")
    return read_sites(sites)


def _survey(settings: Any) -> tuple[Path, Any]:
    """Model and deployments that the settings name, the model checked."""
    from batpam.activity.names import needed_scores, nodes_of
    from batpam.config import scalogram_settings
    from batpam.models.files import allowed_species, check_model, read_card, shipped_model

    model = Path(settings.detect.model) if settings.detect.model else shipped_model()
    check_model(model, scalogram_settings(settings))
    card = read_card(model)
    allowed_species(card, Path(settings.detect.species_list) if settings.detect.species_list else None)
    needed_scores(nodes_of(card.taxa), settings.activity.min_taxon_score, settings.activity.thresholds)
    return model, _deployments(
        None if settings.recordings else Path(settings.sites),
        Path(settings.recordings) if settings.recordings else None,
        settings.timezone,
    )


def _hold_to_limits(**sections: dict[str, Any]) -> Any:
    """Hold the options of a stage to the limits of the configuration; gives the settings."""
    from batpam.config import check_config

    return check_config(sections, "options")


def _transform(**options: Any) -> Any:
    from batpam.config import scalogram_settings

    return scalogram_settings(_hold_to_limits(scalogram=options))


@app.command(epilog=_example("batpam check --config config/config.yaml"))
def check(
    config: ConfigFile = Path("config/config.yaml"),
    override: Annotated[str, typer.Option(help="Settings as JSON, instead of the file.")] = "",
    demo: Annotated[str, typer.Option(help="A folder of recordings that may be missing: the workflow makes it.")] = "",
) -> None:
    """Check the configuration, the site sheet and the model, and print the settings and the sites as JSON."""
    import json
    from dataclasses import asdict

    from batpam.config import check_config, read_config
    from batpam.models.files import model_hash
    from batpam.recordings.find import check_any, folders_of
    from batpam.survey import SYSTEM_FOLDERS

    settings = check_config(json.loads(override)) if override else read_config(config)
    model, deployments = _survey(settings)
    folders = {d.recordings: folders_of(d, may_miss=demo) for d in deployments}
    there = [d for d in deployments if all(Path(folder).exists() for folder in folders[d.recordings])]
    if len(there) == len(deployments):
        check_any(there)
    checked = {
        "config": settings.model_dump(),
        "sites": [asdict(d) for d in deployments],
        "folders": folders,
        "system_folders": SYSTEM_FOLDERS,
        "model_hash": model_hash(model),
    }
    print(json.dumps(checked))


@app.command(epilog=_example("batpam plan --cores 8"))
def plan(
    config: ConfigFile = Path("config/config.yaml"),
    cores: Annotated[
        int | None, typer.Option(min=1, help="Cores of the run.", show_default="all of this machine")
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder that the results will lie in.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what a run would take before it starts: audio, files, shards, jobs, disk and time.

    Reads the headers of all recordings, and runs the stages on up to a minute of audio in a temporary folder.

    Exit status 3 when the disk of the results is too small.
    """
    from batpam.config import read_config
    from batpam.planning.plan import plan as run
    from batpam.planning.show import show

    settings = read_config(config)
    model, deployments = _survey(settings)
    found = run(settings, deployments, model, cores=cores, results=results)
    show(found, as_json=as_json)
    if found.bytes_missing:
        raise typer.Exit(3)


@app.command(epilog=_example("batpam inspect card/20240601_213000.WAV --timezone Europe/London"))
def inspect(
    files: Annotated[list[Path], typer.Argument(help="Recordings.")],
    timezone: Annotated[str, typer.Option(help="IANA time zone of clocks that name none.")] = "UTC",
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what a recording is: audio, time, recorder, what each source says of it, and where they disagree."""
    from batpam.config import IndexConfig
    from batpam.recordings.inspect import inspect as run
    from batpam.recordings.inspect import show
    from batpam.survey import check_zone

    check_zone(timezone, "options")
    limits = IndexConfig()
    show(
        [
            run(file, timezone, min_sample_rate=limits.min_sample_rate, min_duration=limits.min_duration)
            for file in files
        ],
        as_json=as_json,
    )


@app.command(epilog=_example("batpam simulate --output results/demo"))
def simulate(
    output: Annotated[Path, typer.Option(help="Folder: recordings/SITE/*.wav and truth.parquet.")],
    nights: Annotated[int, typer.Option(min=1, help="Nights.")] = 2,
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes of audio in all.")] = 10.0,
    sample_rate: Annotated[int, typer.Option(min=50_000, help="Hz.")] = 384_000,
    seed: Annotated[int, typer.Option(help="Another number, another survey.")] = 1,
    workers: Workers = 1,
) -> None:
    """Make a survey of two sites with known truth: bats, insects and noise."""
    from batpam.simulate.survey import simulate as run

    run(output, nights=nights, minutes=minutes, sample_rate=sample_rate, seed=seed, workers=workers)


@app.command(epilog=_example("batpam index --sites config/sites.tsv --output results/index"))
def index(
    output: Annotated[Path, typer.Option(help="Folder: recordings.parquet, shards.tsv, manifests/, logs/.")],
    sites: Sites = None,
    recordings: Folder = None,
    timezone: Zone = "UTC",
    shard_hours: Annotated[float, typer.Option(help="Most audio in a shard, h.")] = 24.0,
    min_sample_rate: Annotated[float, typer.Option(help="Exclude recordings below, Hz.")] = 90_000.0,
    min_duration: Annotated[float, typer.Option(help="Exclude shorter recordings, s.")] = 0.05,
    follow_links: Annotated[bool, typer.Option(help="Follow links that lead out of the folders.")] = False,
    workers: Workers = 1,
) -> None:
    """Find the recordings of every site, read their headers, give them nights and put them into shards.

    Files that an earlier index in the same folder knows and that did not change are not opened again.
    """
    from batpam.recordings.index import check_none_gone
    from batpam.recordings.index import index as run

    settings = _hold_to_limits(
        index={
            "shard_hours": shard_hours, "min_sample_rate": min_sample_rate, "min_duration": min_duration,
            "follow_links": follow_links,
        }
    ).index  # fmt: skip
    deployments = _deployments(sites, recordings, timezone)
    if recordings is not None:
        check_none_gone(recordings, deployments, output)
    run(deployments, output, **settings.model_dump(), workers=workers)


@app.command(
    epilog=_example(
        "batpam segment --manifest M.parquet --output segments.parquet --coverage coverage.parquet --sound sound.parquet"
    )
)
def segment(
    manifest: Manifest,
    output: Output,
    coverage: Annotated[Path, typer.Option(help="Also written: how far each file could be read.")],
    sound: Annotated[Path, typer.Option(help="Also written: noise, clipping, rain and insects of each file.")],
    hop: Hop = 0.0005,
    f_min: Annotated[float, typer.Option(help="Lowest frequency that is looked at, Hz.")] = 10_000.0,
    threshold_db: Annotated[float, typer.Option(help="Rise above the noise that is kept, dB.")] = 7.0,
    padding: Annotated[float, typer.Option(help="Kept before and after, s.")] = 0.2,
    workers: Workers = 1,
) -> None:
    """Find where in the recordings of a shard something ultrasonic may be, and measure noise, clipping, rain and insects."""
    from batpam.segments.gate import segment as run

    _hold_to_limits(segment={"f_min": f_min, "threshold_db": threshold_db, "padding": padding}, scalogram={"hop": hop})
    settings = {"hop": hop, "f_min": f_min, "threshold_db": threshold_db, "padding": padding}
    run(manifest, output, coverage, sound, **settings, workers=workers)


@app.command(epilog=_example("batpam scalogram --manifest M.parquet --segments S.parquet --output shard.h5"))
def scalogram(
    manifest: Manifest,
    segments: Annotated[Path, typer.Option(help="Segments of the shard.")],
    output: Output,
    wavelet: Wavelet = "cmor4-4",
    f_min: FMin = 10_000.0,
    f_max: FMax = 150_000.0,
    voices: Voices = 96,
    spacing: Spacing = "log",
    hop: Hop = 0.0005,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    workers: Workers = 1,
) -> None:
    """Compute the wavelet scalograms of a shard's segments into one HDF5 file."""
    from batpam.scalograms.shards import scalogram as run

    settings = _transform(wavelet=wavelet, f_min=f_min, f_max=f_max, voices=voices, spacing=spacing, hop=hop)
    _hold_to_limits(scalogram={"device": device})
    run(manifest, segments, output, settings=settings, device=device, workers=workers)


@app.command(epilog=_example("batpam detect --shard shard.h5 --manifest M.parquet --output calls.parquet"))
def detect(
    shard: Annotated[Path, typer.Option(help="HDF5 shard of scalograms.")],
    manifest: Manifest,
    output: Output,
    model: Model = None,
    min_score: Annotated[float, typer.Option(help="Drop detections of a lower probability.")] = 0.1,
    species_list: SpeciesList = None,
    device: Device = "auto",
    workers: Workers = 1,
) -> None:
    """Find and classify the calls in a shard, and their echoes: one row each, with the score of every species."""
    from batpam.detection.detect import detect as run
    from batpam.models.files import shipped_model

    _hold_to_limits(detect={"min_score": min_score, "device": device})
    run(
        shard, manifest, model or shipped_model(), output,
        min_score=min_score, species_list=species_list, device=device, workers=workers,
    )  # fmt: skip


SiteName = Annotated[str, typer.Option(help="Name of the site.")]
SiteTable = Annotated[Path, typer.Option(help="Recordings of the site, results/index/sites/SITE.parquet.")]
Segments = Annotated[Path, typer.Option(help="Folder of segments and coverage.")]
Detections = Annotated[Path, typer.Option(help="Folder of detections.")]
SiteLedger = Annotated[Path, typer.Option(help="Ledger of the site.")]
SiteHealth = Annotated[Path, typer.Option(help="State of the site's recorders, results/health/SITE.parquet.")]


@app.command(
    epilog=_example("batpam ledger --site orchard --index results/index/sites/orchard.parquet --output L.parquet")
)
def ledger(
    site: SiteName,
    index: SiteTable,
    output: Output,
    segments: Segments = Path("results/segments"),
    detections: Detections = Path("results/detections"),
) -> None:
    """Account for every second of every file of a site, or fail."""
    from batpam.recordings.ledger import ledger as run

    run(site, index, segments, detections, output)


@app.command(
    epilog=_example(
        "batpam health --site orchard --sites config/sites.tsv --index results/index/sites/orchard.parquet "
        "--logs results/index/logs/orchard.parquet --ledger results/coverage/sites/orchard.parquet --output H.parquet"
    )
)
def health(
    site: SiteName,
    index: SiteTable,
    logs: Annotated[Path, typer.Option(help="Logs of the site's recorders, results/index/logs/SITE.parquet.")],
    ledger: SiteLedger,
    output: Output,
    segments: Segments = Path("results/segments"),
    sites: Sites = None,
    recordings: Folder = None,
    timezone: Zone = "UTC",
    min_valid_share: Annotated[
        float, typer.Option(help="Usable share of the scheduled dark hours of a valid night.")
    ] = 0.9,
    min_partial_share: Annotated[float, typer.Option(help="Share below which a night has failed.")] = 0.1,
    max_flat_share: Annotated[float, typer.Option(help="Share of stuck samples from which it has failed.")] = 0.1,
    max_clipped_share: Annotated[
        float, typer.Option(help="Share of clipped samples from which it is partial.")
    ] = 0.001,
    max_offset: Annotated[float, typer.Option(help="Mean of the samples from which it is partial.")] = 0.02,
    max_click_share: Annotated[float, typer.Option(help="Share of rain and clicks from which it is partial.")] = 0.5,
    max_sensitivity_change: Annotated[
        float, typer.Option(help="Fall of the noise from which it is partial, dB.")
    ] = 6.0,
    reference_nights: Annotated[int, typer.Option(help="First nights that the later ones are held to.")] = 3,
    failed_after: Annotated[int, typer.Option(help="Night of such a fall in a row from which it has failed.")] = 3,
    min_battery_v: Annotated[float, typer.Option(help="Voltage below which the battery is low, V.")] = 3.6,
) -> None:
    """Say for every recorder and night whether it is valid, partial or failed, why, and what its effort was."""
    from batpam.recordings.health import health as run

    settings = {
        "min_valid_share": min_valid_share, "min_partial_share": min_partial_share, "max_flat_share": max_flat_share,
        "max_clipped_share": max_clipped_share, "max_offset": max_offset, "max_click_share": max_click_share,
        "max_sensitivity_change": max_sensitivity_change, "reference_nights": reference_nights,
        "failed_after": failed_after, "min_battery_v": min_battery_v,
    }  # fmt: skip
    _hold_to_limits(health=settings)
    deployments = _of_site(_deployments(sites, recordings, timezone), site)
    run(site, index, logs, segments, ledger, deployments, output, **settings)


@app.command(
    epilog=_example(
        "batpam activity --site orchard --sites config/sites.tsv --index results/index/sites/orchard.parquet "
        "--ledger results/coverage/sites/orchard.parquet --health results/health/orchard.parquet "
        "--output results/activity/orchard"
    )
)
def activity(
    site: SiteName,
    index: SiteTable,
    ledger: SiteLedger,
    health: SiteHealth,
    output: Annotated[Path, typer.Option(help="Folder: passes, activity and nights, as Parquet and CSV.")],
    detections: Detections = Path("results/detections"),
    sites: Sites = None,
    recordings: Folder = None,
    timezone: Zone = "UTC",
    model: Model = None,
    min_score: Annotated[float, typer.Option(help="Probability of a bat from which a call counts.")] = 0.5,
    min_taxon_score: MinTaxonScore = 0.5,
    threshold: Thresholds = None,
    gap: Annotated[float, typer.Option(help="Longest time from call to call in a pass, s.")] = 1.0,
    min_calls: Annotated[int, typer.Option(help="Fewest calls in a pass.")] = 2,
) -> None:
    """Make passes of the calls of a site, and tables of activity and effort per night."""
    from batpam.activity.summary import activity as run
    from batpam.models.files import read_card, shipped_model

    settings = _hold_to_limits(
        activity={
            "min_score": min_score, "min_taxon_score": min_taxon_score, "gap": gap, "min_calls": min_calls,
            "thresholds": _thresholds(threshold),
        }
    ).activity  # fmt: skip
    deployment = _of_site(_deployments(sites, recordings, timezone), site)[0]
    card = read_card(model or shipped_model())
    run(index, detections, ledger, health, deployment, card, output, **settings.model_dump())


def _thresholds(given: list[str] | None) -> dict[str, str]:
    return _pairs("--threshold", given, "NAME=PROBABILITY, 'Myotis=0.8' for example")


def _pairs(option: str, given: list[str] | None, form: str) -> dict[str, str]:
    """Take options ``NAME=VALUE`` apart; ``form`` says what to write, for the error."""
    apart = [text.rpartition("=") for text in given or []]
    for text, (name, _, _) in zip(given or [], apart, strict=True):
        if not name:
            raise UserError(f"{option} {text!r}: write {form}")
    return {name: value for name, _, value in apart}


def _of_site(deployments: Any, site: str) -> Any:
    found = [d for d in deployments if d.site == site]
    if not found:
        raise UserError(f"site {site!r} is not in the site sheet")
    return found


@app.command(epilog=_example("batpam gather --site orchard --site riverside"))
def gather(
    site: Annotated[list[str], typer.Option(help="Name of a site, once per site.")],
    activity: Annotated[Path, typer.Option(help="Folder of the sites' tables.")] = Path("results/activity"),
    coverage: Annotated[Path, typer.Option(help="Folder of the ledgers.")] = Path("results/coverage"),
    health: Annotated[Path, typer.Option(help="Folder of the states of recorders.")] = Path("results/health"),
) -> None:
    """Put the tables of all sites together: activity, passes, nights, the ledger and its totals."""
    from batpam.activity.summary import gather as run

    run(site, activity, coverage, health)


@app.command(
    epilog=_example("batpam coverage --total results/coverage/total.csv --output results/coverage/verdict.txt")
)
def coverage(
    output: Output,
    total: Annotated[Path, typer.Option(help="Totals of the ledger.")] = Path("results/coverage/total.csv"),
    max_excluded_fraction: Annotated[float, typer.Option(help="Share that may be excluded.")] = 0.5,
) -> None:
    """Fail when too much of the survey was excluded, and say why it was."""
    from batpam.recordings.ledger import check_coverage

    _hold_to_limits(coverage={"max_excluded_fraction": max_excluded_fraction})
    check_coverage(total, output, max_excluded_fraction=max_excluded_fraction)


@app.command(epilog=_example("batpam report --sites config/sites.tsv --output results/report/index.html"))
def report(
    output: Annotated[Path, typer.Option(help="HTML page.")],
    activity: Annotated[Path, typer.Option(help="Folder of the tables.")] = Path("results/activity"),
    ledger: Annotated[Path, typer.Option(help="The ledger.")] = Path("results/coverage/ledger.parquet"),
    health: Annotated[Path, typer.Option(help="State of the recorders.")] = Path("results/coverage/nights.parquet"),
    site: Annotated[
        str, typer.Option(help="A page of this site only; --activity, --ledger and --health are its own.")
    ] = "",
    sites: Sites = None,
    recordings: Folder = None,
    timezone: Zone = "UTC",
    model: Model = None,
    title: Annotated[str, typer.Option(help="Title of the survey.")] = "Bat survey",
) -> None:
    """Write the page of the survey, or of one site, that a person reads."""
    from batpam.models.files import read_card, shipped_model
    from batpam.reports.pages import report_site, report_survey

    deployments = _deployments(sites, recordings, timezone)
    card = read_card(model or shipped_model())
    if site:
        report_site(activity, ledger, health, _of_site(deployments, site)[0], card, output, title=title)
    else:
        report_survey(activity, ledger, health, deployments, card, output, title=title)


TrainingConfig = Annotated[Path, typer.Option(help="Settings of the training (YAML); docs/training.md lists the keys.")]
ModelOutput = Annotated[Path, typer.Option(help="Model file (*.safetensors); its card is written beside it.")]
AnnotationsFile = Annotated[Path, typer.Argument(help="File or folder of annotations.")]
AnnotatedRecordings = Annotated[
    Path | None, typer.Option(help="Folder of the recordings; without it they lie beside the annotations.")
]
AnnotationFormat = Annotated[str, typer.Option(help="Format of the annotations; docs/annotations.md lists them.")]
LabelNames = Annotated[
    list[str] | None,
    typer.Option("--name", help="What a label means: LABEL=MEANING, once for each; an empty meaning leaves it out."),
]
Taxa = Annotated[Path | None, typer.Option(help="Species that labels are held to; without it those of the model.")]


@app.command(epilog=_example("batpam train --config config/training.yaml --output models/mine.safetensors --workers 2"))
def train(output: ModelOutput, config: TrainingConfig = Path("config/training.yaml"), workers: Workers = 1) -> None:
    """Fit a network on simulated and own recordings and write a model file with its card.

    Stopped and run again, it goes on where it was.
    """
    _train(config, output, workers, start="")


@app.command(epilog=_example("batpam finetune --config config/mine.yaml --output models/mine.safetensors --workers 2"))
def finetune(output: ModelOutput, config: TrainingConfig, workers: Workers = 1) -> None:
    """Train a model further on own labels: `start` of the settings, else the shipped one.

    The table of taxa may name species that it does not know.
    """
    _train(config, output, workers, start="shipped")


def _train(config: Path, output: Path, workers: int, *, start: str) -> None:
    from batpam.models.files import read_taxa
    from batpam.parallel import is_first
    from batpam.training.fit import describe
    from batpam.training.fit import train as run
    from batpam.training.settings import read_training_settings

    if output.suffix != ".safetensors":
        raise UserError(f"--output {output}: the name of a model ends in .safetensors")
    settings = read_training_settings(config)
    if not settings.start:
        settings = settings.model_copy(update={"start": start})
    card = run(read_taxa(Path(settings.taxa)), settings, output, workers=workers)
    if is_first():
        print(describe(card))


@app.command(epilog=_example("batpam annotations labels/ --recordings recordings/ --output labels.csv"))
def annotations(
    path: AnnotationsFile,
    recordings: AnnotatedRecordings = None,
    format: AnnotationFormat = "auto",
    name: LabelNames = None,
    model: Model = None,
    taxa: Taxa = None,
    output: Annotated[Path | None, typer.Option(help="Plain CSV to write them to.")] = None,
) -> None:
    """Show what a file of annotations says: recordings, taxa, and labels that fit none; write them as plain CSV."""
    from batpam.models.files import read_card, read_taxa, shipped_model
    from batpam.training.annotations.read import read_annotations
    from batpam.training.annotations.show import summarise, write_plain

    species = read_taxa(taxa) if taxa else read_card(model or shipped_model()).taxa
    found = read_annotations(path, species, recordings=recordings, format=format, names=_label_names(name))
    print(summarise(found))
    if output:
        write_plain(found, output)


def _label_names(given: list[str] | None) -> dict[str, str]:
    return _pairs("--name", given, "LABEL=MEANING, '4=Pip35' for example")


@app.command(epilog=_example("batpam evaluate labels.csv --recordings recordings/ --output evaluation --workers 2"))
def evaluate(
    path: AnnotationsFile,
    output: Annotated[Path, typer.Option(help="Folder for the page and its tables.")],
    recordings: AnnotatedRecordings = None,
    format: AnnotationFormat = "auto",
    name: LabelNames = None,
    time_expansion: Annotated[
        float, typer.Option(min=1, help="Time expansion of recordings of which the annotations do not tell it.")
    ] = 1.0,
    min_score: Annotated[float, typer.Option(help="Probability from which a detection counts, 0.02 to 1.")] = 0.5,
    model: Model = None,
    species_list: SpeciesList = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Evaluation",
    device: Device = "auto",
    workers: Workers = 1,
) -> None:
    """Hold a model against annotated recordings: one HTML page and CSVs."""
    from batpam.models.files import shipped_model
    from batpam.training.evaluation.run import evaluate_model, headline

    _hold_to_limits(detect={"device": device})
    summary = evaluate_model(
        path, model or shipped_model(), output,
        recordings=recordings, format=format, names=_label_names(name), time_expansion=time_expansion,
        min_score=min_score, species_list=species_list, title=title, device=device, workers=workers,
    )  # fmt: skip
    print(f"{output / 'evaluation.html'}: {headline(summary)}")


@app.command(epilog=_example("batpam export --format csv --output calls.csv"))
def export(
    output: Output,
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results"),
    format: Annotated[str, typer.Option(help="csv.")] = "csv",
    min_score: Annotated[float, typer.Option(help="Leave out calls with a lower detection score.")] = 0.0,
    relative_to: Annotated[Path | None, typer.Option(help="Give paths of recordings relative to it.")] = None,
    model: Model = None,
    min_taxon_score: MinTaxonScore = 0.5,
    threshold: Thresholds = None,
) -> None:
    """Write calls in a format of others: one row per call or echo (call_type), with the lowest taxon that is sure enough."""
    from batpam.exports.csv import export_csv
    from batpam.models.files import shipped_model

    if format != "csv":
        raise UserError(f"format {format!r} is not known; use csv")
    named = _hold_to_limits(
        activity={"min_taxon_score": min_taxon_score, "thresholds": _thresholds(threshold)}
    ).activity
    count = export_csv(
        results, output, model or shipped_model(), min_score=min_score, relative_to=relative_to,
        min_taxon_score=named.min_taxon_score, thresholds=named.thresholds,
    )  # fmt: skip
    print(f"{count} calls and echoes written to {output}")
