"""Every real recording in the state that a person would give it, and the time and the rate that a person would read off it."""

from pathlib import Path

import pandas as pd
import pytest

from batpam.recordings.index import list_recordings
from batpam.survey import Deployment
from batpam.tables import RECORDINGS

# folder; file; reason (none: it is analysed), real rate in Hz, samples, those of them that are there, local start, source of
# the start, warnings
FILES: dict[str, dict[str, tuple[str, int, int, int, str, str, str]]] = {
    "labelled/batogram": {
        "barbar-20220528_215208.wav": ("", 288_000, 840_960, 840_960, "2022-05-28T22:52:11.000+02:00", "guano", "times_apart"),
        "myonat-20220708_22135.wav": ("", 288_000, 587_520, 587_520, "2022-07-08T23:14:01.000+02:00", "guano", ""),
        "pippyg-20220413_210005.wav": ("", 288_000, 1_272_960, 1_272_960, "2022-04-13T22:00:09.000+02:00", "guano", "times_apart"),
        "rhihip-20220708_221809.wav": ("", 288_000, 1_329_533, 1_329_533, "2022-07-08T22:18:09.000+02:00", "name", ""),
    },
    "labelled/dpg": {
        "Barbastelle.wav": ("", 250_000, 250_000, 250_000, "", "none", ""),
        "DaubentonSocialCalls.wav": ("", 256_000, 256_000, 256_000, "", "none", ""),
        "DaubentonsFeedingBuzz.wav": ("", 256_000, 256_000, 256_000, "", "none", ""),
        "GreaterHorseshoe.wav": ("", 250_000, 250_000, 250_000, "", "none", ""),
        "Long_Eared.wav": ("", 250_000, 250_000, 250_000, "", "none", ""),
        "NathusiusFeedingBuzz.wav": ("", 250_000, 250_000, 250_000, "", "none", ""),
        "Natterers.wav": ("", 250_000, 250_001, 250_001, "", "none", ""),
        "NoctuleFeedingBuzz.wav": ("", 384_000, 384_000, 384_000, "", "none", ""),
        "PipSocial.wav": ("", 250_000, 250_000, 250_000, "", "none", ""),
        "Serotine.wav": ("", 250_000, 250_000, 250_000, "", "none", ""),
        "SopranoFeedingBuzz.wav": ("", 250_000, 250_000, 250_000, "", "none", ""),
        "SopranoTwoTypesSocial.wav": ("", 250_000, 250_000, 250_000, "", "none", ""),
    },
    "field/m500": {
        "M500-20190704_030003.wav": ("", 384_000, 768_000, 768_000, "2019-07-04T03:00:03.000+02:00", "name", ""),
    },
    "field/tadarida": {
        "Car170517-2014-Pass1-C1-OB-1_20140702_224038_761.wav": ("", 384_000, 1_204_992, 1_204_992, "2014-07-02T22:40:38.761+02:00", "wamd", ""),
        "Car340108-2014-Pass1-Z1-FLO_0_20140408_013528_599.wav": ("too_short", 384_000, 256, 256, "2014-04-08T01:35:28.599+02:00", "wamd", ""),
        "Car40663-2014-Pass2-D2-RC-04_0_0_20140922_033604_000.wav": ("", 384_000, 951_603, 951_603, "2014-09-22T03:36:04.000+02:00", "name", ""),
        "Cir106-2008-Pass1-Tron3-Chiro_extr.wav": ("", 441_000, 228_967, 228_967, "", "none", "channels_unused"),
        "Cir123-2015-Pass2-Tron4-Chiro_1_00270_000.wav": ("", 960_000, 480_000, 480_000, "", "none", "expansion_disagrees"),
        "RECORD0_20150421_213730_463.wav": ("", 250_000, 1_249_792, 1_249_792, "2015-04-21T21:37:30.463+02:00", "wamd", ""),
        "Ruisseau_de_Peyroules014903-D2_20140813_040521_598.wav": ("", 384_000, 230_912, 230_912, "2014-08-13T04:05:21.598+02:00", "wamd", ""),
        "o_Lamalou8476_20141221_202116_019.wav": ("", 441_000, 220_500, 220_500, "2014-12-21T20:21:16.019+01:00", "name", ""),
        "o_o_Col_de_Roncevaux_ferme_abandonnee10250_20140725_081655_173.wav": ("too_short", 441_000, 538, 538, "2014-07-25T08:16:55.173+02:00", "name", ""),
    },
    "formats": {
        "aiff_alaw.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "aiff_double.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "aiff_float.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "aiff_ima_adpcm.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "aiff_pcm_16.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "aiff_pcm_24.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "aiff_pcm_32.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "aiff_pcm_s8.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "aiff_pcm_u8.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "aiff_ulaw.aiff": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "audiomoth_gps.wav": ("sample_rate", 48_000, 95_999, 95_999, "2024-05-28T12:00:00.000+02:00", "audiomoth", ""),
        "flac_pcm_16.flac": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "flac_pcm_24.flac": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "flac_pcm_s8.flac": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "metadata.wav": ("sample_rate", 32_000, 479_022, 479_022, "2020-04-04T12:25:00.000+02:00", "audiomoth", ""),
        "mp3_mpeg_layer_iii.mp3": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "ogg_opus.ogg": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "ogg_vorbis.ogg": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "wav_alaw.wav": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "wav_double.wav": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "wav_float.wav": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "wav_ima_adpcm.wav": ("sample_rate", 16_000, 16_272, 16_272, "", "none", ""),
        "wav_ms_adpcm.wav": ("sample_rate", 16_000, 16_192, 16_192, "", "none", ""),
        "wav_pcm_16.wav": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "wav_pcm_24.wav": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "wav_pcm_32.wav": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "wav_pcm_u8.wav": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
        "wav_ulaw.wav": ("sample_rate", 16_000, 16_000, 16_000, "", "none", ""),
    },
    "labelled/paddygoat": {
        "plecotus_10.wav": ("", 384_000, 628_384, 628_384, "", "none", ""),
        "plecotus_7.wav": ("", 384_000, 424_756, 424_756, "", "none", ""),
        "plecotus_8.wav": ("", 384_000, 94_340, 94_340, "", "none", ""),
        "rhino_hippo_nov_9_2019_02.wav": ("", 384_000, 440_054, 440_054, "", "none", ""),
        "s_pip_oct_28_2019.wav": ("", 384_000, 931_082, 931_082, "", "none", ""),
    },
    "labelled/soundclass": {
        "20170907_234031_bat.wav": ("", 300_000, 600_000, 600_000, "2017-09-07T23:40:31.000+02:00", "name", ""),
        "20170908_061154_noise.wav": ("", 300_000, 600_000, 600_000, "2017-09-08T06:11:54.000+02:00", "name", ""),
        "20170908_063845_noise.wav": ("", 300_000, 600_000, 600_000, "2017-09-08T06:38:45.000+02:00", "name", ""),
        "Bbar001.wav": ("", 441_000, 150_329, 150_329, "", "none", ""),
        "Mesc003.wav": ("", 441_000, 273_668, 273_668, "", "none", ""),
    },
    "labelled/tadarida": {
        "Car340319-2015-Pass1-G2-16701_0_20150718_031633_453.wav": ("", 384_000, 1_920_000, 1_920_000, "2015-07-18T03:16:33.453+02:00", "wamd", ""),
        "Car340319-2015-Pass1-G2-16701_0_20150718_034611_770.wav": ("", 384_000, 1_009_664, 1_009_664, "2015-07-18T03:46:11.770+02:00", "wamd", ""),
        "Car340319-2015-Pass1-G2-16701_0_20150718_040807_273.wav": ("", 384_000, 777_984, 777_984, "2015-07-18T04:08:07.273+02:00", "wamd", ""),
        "Car340319-2015-Pass1-G2-16701_0_20150718_041830_256.wav": ("", 384_000, 1_475_840, 1_475_840, "2015-07-18T04:18:30.256+02:00", "wamd", ""),
        "Car340319-2015-Pass1-G2-16701_0_20150718_045047_787.wav": ("", 384_000, 1_920_000, 1_920_000, "2015-07-18T04:50:47.787+02:00", "wamd", ""),
        "Car340319-2015-Pass1-G2-16701_0_20150718_052730_057.wav": ("", 384_000, 784_128, 784_128, "2015-07-18T05:27:30.057+02:00", "wamd", ""),
        "Car340319-2015-Pass1-G2-16701_0_20150718_052755_293.wav": ("", 384_000, 1_077_504, 1_077_504, "2015-07-18T05:27:55.293+02:00", "wamd", ""),
        "Car340319-2015-Pass1-G2-16701_0_20150718_055612_507.wav": ("", 384_000, 803_328, 803_328, "2015-07-18T05:56:12.507+02:00", "wamd", ""),
    },
    "unreadable": {
        "20160809_063108_Dawn _1.4647 116.9136_.wav": ("unreadable", 0, 0, 0, "2016-08-09T06:31:08.000+02:00", "name", ""),
        "20181101_000006_REC [-27.3866 152.8761].flac": ("unreadable", 0, 0, 0, "2018-11-01T00:00:06.000+01:00", "name", ""),
        "20181101_050000_REC [-27.3866 152.8761].flac": ("unreadable", 0, 0, 0, "2018-11-01T05:00:00.000+01:00", "name", ""),
        "20181101_060000_REC [-27.3866 152.8761].flac": ("unreadable", 0, 0, 0, "2018-11-01T06:00:00.000+01:00", "name", ""),
        "20190309T020000+1000_REC [19.2052 152.8719].flac": ("unreadable", 0, 0, 0, "2019-03-08T17:00:00.000+01:00", "name", ""),
        "20190422T200000+1000_REC [19.2144 152.8811].flac": ("unreadable", 0, 0, 0, "2019-04-22T12:00:00.000+02:00", "name", ""),
        "20220817_060000_REC.wav": ("unreadable", 0, 0, 0, "2022-08-17T06:00:00.000+02:00", "name", ""),
        "20221002_080000_Rec.wav": ("unreadable", 0, 0, 0, "2022-10-02T08:00:00.000+02:00", "name", ""),
        "empty_2c.wav": ("truncated", 44_100, 29, 0, "", "none", "looks_expanded,channels_unused"),
        "stereo.wav": ("too_short", 44_100, 5, 5, "", "none", "looks_expanded,channels_unused"),
    },
}  # fmt: skip

# in a sheet that says nothing of time expansion: reason, factor, source of the factor, warnings
UNTOLD = {
    "Car170517-2014-Pass1-C1-OB-1_20140702_224038_761.wav": ("", 10, "wamd", ""),
    "Car340108-2014-Pass1-Z1-FLO_0_20140408_013528_599.wav": ("too_short", 10, "wamd", ""),
    "Car40663-2014-Pass2-D2-RC-04_0_0_20140922_033604_000.wav": ("sample_rate", 1, "header", "looks_expanded"),
    "Cir106-2008-Pass1-Tron3-Chiro_extr.wav": ("sample_rate", 1, "header", "looks_expanded,channels_unused"),
    "Cir123-2015-Pass2-Tron4-Chiro_1_00270_000.wav": ("", 1, "wamd", ""),
    "RECORD0_20150421_213730_463.wav": ("", 10, "wamd", ""),
    "Ruisseau_de_Peyroules014903-D2_20140813_040521_598.wav": ("", 10, "wamd", ""),
    "o_Lamalou8476_20141221_202116_019.wav": ("sample_rate", 1, "header", "looks_expanded"),
    "o_o_Col_de_Roncevaux_ferme_abandonnee10250_20140725_081655_173.wav": ("too_short", 1, "header", "looks_expanded"),
}


def _list(*deployments: Deployment) -> pd.DataFrame:
    table = list_recordings(deployments, shard_hours=24, min_sample_rate=90_000, min_duration=0.05)
    return table.cast(RECORDINGS).to_pandas()


def _site(site: str, place: Path, recorder: int = 1, expansion: float = 1, channel: int = 1) -> Deployment:
    return Deployment(site, None, None, "Europe/Paris", str(place), str(recorder), float(expansion), channel)


@pytest.fixture(scope="module")
def rows(real_recordings: Path, real_deployments: dict[str, list[tuple[str, int, int]]]) -> pd.DataFrame:
    rows = _list(
        *(
            _site(site, real_recordings / place, number, expansion, channel)
            for site, places in real_deployments.items()
            for number, (place, expansion, channel) in enumerate(places, 1)
        )
    )
    rows["file"] = [str(Path(path).relative_to(real_recordings)) for path in rows["path"]]
    return rows.set_index("file")


@pytest.mark.parametrize("folder", FILES)
def test_every_file_is_what_a_person_would_call_it(rows: pd.DataFrame, folder: str) -> None:
    found = {
        Path(row.Index).name: (
            row.reason, int(row.sample_rate_hz or 0) if row.samples else 0, row.samples, row.readable_samples,
            row.start_local or "", row.clock_source, row.warnings,
        )
        for row in rows.itertuples()
        if Path(row.Index).parent == Path(folder)
    }  # fmt: skip
    assert found == FILES[folder]


def test_there_is_no_other_file(rows: pd.DataFrame, real_recordings: Path) -> None:
    wanted = {f"{folder}/{name}" for folder, files in FILES.items() for name in files}
    there = {str(path.relative_to(real_recordings)) for path in real_recordings.rglob("*") if path.is_file()}
    assert wanted == set(rows.index) == {name for name in there if "/" in name}
    assert (rows["shard"].notna() == (rows["reason"] == "")).all()


def test_labels_say_the_same(rows: pd.DataFrame, real_recordings: Path) -> None:
    labels = pd.read_csv(real_recordings / "labels.csv").set_index("file")
    labels = labels[labels["header_rate_hz"].notna()]
    told = rows.loc[labels.index]
    pd.testing.assert_series_equal(told["header_rate_hz"], labels["header_rate_hz"], check_names=False)
    real = labels["header_rate_hz"] * labels["time_expansion"]
    pd.testing.assert_series_equal(told["sample_rate_hz"], real, check_names=False)
    pd.testing.assert_series_equal(told["channels"].astype(float), labels["channels"], check_names=False)
    assert (told["readable_samples"] / told["sample_rate_hz"]).to_numpy() == pytest.approx(
        labels["duration_s"].to_numpy(), abs=0.06
    )
    assert [kind.split(" ", 1)[1] for kind in told["format"]] == labels["subtype"].tolist()


def test_time_expansion_of_which_the_sheet_says_nothing(real_recordings: Path) -> None:
    rows = _list(
        _site("field", real_recordings / "field/tadarida"), _site("labelled", real_recordings / "labelled/tadarida")
    )
    found = {
        Path(row.path).name: (
            row.reason, row.time_expansion, "wamd" if '"time_expansion": "wamd"' in row.sources else "header", row.warnings,
        )
        for row in rows.itertuples()
    }  # fmt: skip
    assert found == UNTOLD | dict.fromkeys(FILES["labelled/tadarida"], ("", 10, "wamd", ""))
