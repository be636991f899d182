"""The comment and CONFIG.TXT of an AudioMoth, as every firmware writes them."""

import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batpam.recordings.facts import Facts
from batpam.recordings.formats.audiomoth import (
    AudioMothConfig,
    duty_share,
    read_comment,
    read_config,
    scheduled_windows,
)

ID = "24A04F0864BF5C9A"
ARTIST = f"AudioMoth {ID}".encode().ljust(32, b"\0")
AT = "Recorded at 21:30:05 01/06/2024"

MAGNITUDE = "Amplitude threshold was 512 with 1s minimum trigger duration"
FREQUENCY = (
    "Frequency trigger (25.0kHz and window length of 256 samples) threshold was 0.05% with 5s minimum trigger duration"
)


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def _comment(sentence: str, size: int = 384) -> bytes:
    assert len(sentence) < size
    return sentence.encode("ascii").ljust(size, b"\0")


def _read(sentence: str, artist: bytes = ARTIST) -> Facts:
    facts = read_comment(_comment(sentence), artist)
    assert facts is not None
    return facts


# one sentence of each firmware

SENTENCES = {
    "1.0": (
        128,
        f"{AT} by AudioMoth 0FE081F80FE081F0 at gain setting 2 while battery state was 4.02V",
        dict(start=_utc(2024, 6, 1, 21, 30, 5), serial=None, gain="2", battery_v=4.2, temperature_c=None),
    ),
    "1.0.1": (
        128,
        f"{AT} (UTC) by AudioMoth 0FE081F80FE081F0 at gain setting 4 while battery state was 3.6V",
        dict(start=_utc(2024, 6, 1, 21, 30, 5), serial=None, gain="4", battery_v=3.6),
    ),
    "1.1.0": (
        128,
        f"{AT} (UTC) by AudioMoth 0FE081F80FE081F0 at gain setting 0 while battery state was < 3.6V",
        dict(start=_utc(2024, 6, 1, 21, 30, 5), serial=None, gain="0", battery_v=3.6),
    ),
    "1.2.0": (
        128,
        f"{AT} (UTC-5) by AudioMoth {ID} at gain setting 2 while battery state was > 5.0V.",
        dict(start=_utc(2024, 6, 2, 2, 30, 5), gain="2", battery_v=5.0),
    ),
    "1.2.1": (
        256,
        f"{AT} (UTC+10) by AudioMoth {ID} at gain setting 2 while battery state was less than 3.6V. "
        "Recording cancelled before completion due to low battery voltage.",
        dict(start=_utc(2024, 6, 1, 11, 30, 5), gain="2", battery_v=3.6, stop_reason="low battery voltage"),
    ),
    "1.2.2": (
        256,
        f"{AT} (UTC-3:30) by AudioMoth {ID} at gain setting 2 while battery state was greater than 4.9V. "
        "Recording cancelled before completion due to change of switch position.",
        dict(start=_utc(2024, 6, 2, 1, 0, 5), battery_v=4.9, stop_reason="change of switch position"),
    ),
    "1.3.0": (
        256,
        f"{AT} (UTC+5:45) by AudioMoth {ID} at gain setting 3 while battery state was 4.7V.",
        dict(start=_utc(2024, 6, 1, 15, 45, 5), gain="3", battery_v=4.7),
    ),
    "1.4.0": (
        384,
        f"{AT} (UTC+1) by AudioMoth {ID} at medium-high gain setting while battery state was less than 2.5V and "
        "temperature was -0.4C. Amplitude threshold was 1000. Low-pass filter applied with cut-off frequency of "
        "12.0kHz. Recording cancelled before completion due to low voltage.",
        dict(
            start=_utc(2024, 6, 1, 20, 30, 5),
            gain="medium-high",
            battery_v=2.5,
            temperature_c=-0.4,
            trigger="Amplitude threshold was 1000",
            stop_reason="low voltage",
        ),
    ),
    "1.4.1": (
        384,
        f"{AT} (UTC-0:30) by AudioMoth {ID} at low-medium gain setting while battery state was 4.0V and temperature "
        "was 11.3C. Band-pass filter applied with cut-off frequencies of 8.0kHz and 12.0kHz.",
        dict(start=_utc(2024, 6, 1, 22, 0, 5), gain="low-medium", battery_v=4.0, temperature_c=11.3),
    ),
    "1.4.2": (
        384,
        f"{AT} (UTC) by AudioMoth {ID} at low gain setting while battery state was 4.0V and temperature was 0.0C. "
        "High-pass filter applied with cut-off frequency of 8.0kHz. "
        "Recording cancelled before completion due to file size limit.",
        dict(start=_utc(2024, 6, 1, 21, 30, 5), gain="low", temperature_c=0.0, stop_reason="file size limit"),
    ),
    "1.4.4": (
        384,
        f"{AT} (UTC+0:30) by AudioMoth {ID} at high gain setting while battery state was greater than 4.9V and "
        "temperature was -12.5C.",
        dict(start=_utc(2024, 6, 1, 21, 0, 5), gain="high", battery_v=4.9, temperature_c=-12.5),
    ),
    "1.5.0": (
        384,
        f"{AT} (UTC) during deployment 0123456789ABCDEF using external microphone at medium gain setting while battery "
        "state was 4.5V and temperature was 40.1C. "
        "Recording cancelled before completion due to microphone change.",
        dict(start=_utc(2024, 6, 1, 21, 30, 5), gain="medium", battery_v=4.5, stop_reason="microphone change"),
    ),
    "1.6.0": (
        384,
        f"{AT} (UTC) by AudioMoth {ID} at medium gain while battery was 4.5V and temperature was 20.1C. "
        "Amplitude threshold was -30 dB with 5s minimum trigger duration. "
        "High-pass filter with frequency of 8.0kHz applied. Recording stopped due to switch position change.",
        dict(
            start=_utc(2024, 6, 1, 21, 30, 5),
            trigger="Amplitude threshold was -30 dB with 5s minimum trigger duration",
            stop_reason="switch position change",
        ),
    ),
    "1.7.1": (
        384,
        f"{AT} (UTC) by AudioMoth {ID} using external microphone at medium gain while battery was less than 2.5V and "
        "temperature was 20.1C. Amplitude threshold was 0.0005% with 0s minimum trigger duration. "
        "Band-pass filter with frequencies of 8.0kHz and 90.5kHz applied. Recording stopped by magnetic switch.",
        dict(
            start=_utc(2024, 6, 1, 21, 30, 5),
            battery_v=2.5,
            trigger="Amplitude threshold was 0.0005% with 0s minimum trigger duration",
            stop_reason="magnetic switch",
        ),
    ),
    "1.8.1": (
        384,
        f"{AT} (UTC) by AudioMoth {ID} at medium gain while battery was 4.5V and temperature was 20.1C. {FREQUENCY}. "
        "High-pass filter with frequency of 8.0kHz applied. Recording stopped due to low voltage.",
        dict(start=_utc(2024, 6, 1, 21, 30, 5), trigger=FREQUENCY, stop_reason="low voltage"),
    ),
    "1.9.0": (
        384,
        f"{AT} (UTC+9:30) during deployment 0123456789ABCDEF at medium gain while battery was 4.5V and temperature was "
        f"20.1C. High-pass filter with frequency of 8.0kHz applied. {MAGNITUDE}. "
        "Recording stopped due to file size limit.",
        dict(start=_utc(2024, 6, 1, 12, 0, 5), trigger=MAGNITUDE, stop_reason="file size limit"),
    ),
    "1.10.1": (
        384,
        f"{AT} (UTC-9:30) by AudioMoth {ID} at medium gain while battery was 3.8V and temperature was 12.8C.",
        dict(start=_utc(2024, 6, 2, 7, 0, 5), gain="medium", battery_v=3.8, temperature_c=12.8),
    ),
    "1.11.0": (
        384,
        f"{AT} (UTC) by AudioMoth {ID} at medium gain while battery was 3.8V and temperature was 12.8C. "
        "Low-pass filter with frequency of 12.5kHz applied. Recording stopped due to SD card write error.",
        dict(start=_utc(2024, 6, 1, 21, 30, 5), stop_reason="SD card write error"),
    ),
    "GPS-Sync 1.2.1": (
        384,
        f"{AT} (UTC) by AudioMoth {ID} at medium gain while battery was 3.8V and temperature was 12.8C. "
        "Recording stopped due to magnetic switch.",
        dict(start=_utc(2024, 6, 1, 21, 30, 5), stop_reason="magnetic switch"),
    ),
}


@pytest.mark.parametrize("firmware", SENTENCES)
def test_sentence_of_each_firmware(firmware: str) -> None:
    size, sentence, expected = SENTENCES[firmware]
    old = firmware in ("1.0", "1.0.1", "1.1.0")
    facts = read_comment(_comment(sentence, size), b"" if old or firmware == "1.2.0" else ARTIST)
    assert facts is not None
    assert (facts.source, facts.make, facts.model) == ("audiomoth", "Open Acoustic Devices", "AudioMoth")
    expected = {"serial": ID, "trigger": "", "stop_reason": None} | expected
    assert {key: getattr(facts, key) for key in expected} == expected
    assert facts.start is not None
    assert facts.start.tzinfo is not None
    assert facts.problems == (("firmware before 1.2.0 gives every recorder the same serial number",) if old else ())
    assert facts.firmware is None


def test_reason_of_a_stop_is_clean_and_short() -> None:
    said = "\x1b[31mlow\tvoltage " + 150 * "x"
    stop = _read(f"{AT} (UTC) {REST} Recording stopped due to {said}.").stop_reason
    assert stop is not None
    assert stop.startswith("[31mlow voltage xxx")
    assert stop.isprintable() and len(stop) <= 100


REST = f"by AudioMoth {ID} at medium gain while battery was 3.8V and temperature was 12.8C."


@pytest.mark.parametrize(
    ("zone", "offset_min"),
    [
        ("UTC", 0),
        ("UTC+1", 60),
        ("UTC-11", -660),
        ("UTC+14", 840),
        ("UTC+5:30", 330),
        ("UTC-3:30", -210),
        ("UTC-0:30", -30),
        ("UTC+0:30", 30),
        ("UTC+:30", 30),
        ("UTC-:30", -30),
        ("UTC+5: 5", 305),  # as 1.2.2 writes a digit
    ],
)
def test_time_zone(zone: str, offset_min: int) -> None:
    facts = _read(f"{AT} ({zone}) {REST}")
    assert facts.start == datetime(2024, 6, 1, 21, 30, 5, tzinfo=timezone(timedelta(minutes=offset_min)))
    assert facts.start.utcoffset() == timedelta(minutes=offset_min)
    assert facts.problems == ()


def test_time_zone_whose_sign_firmware_1_2_2_leaves_out() -> None:
    facts = _read(f"{AT} (UTC:30) by AudioMoth {ID} at gain setting 2 while battery state was 4.7V.")
    assert facts.start == datetime(2024, 6, 1, 21, 30, 5)
    assert facts.start.tzinfo is None
    assert facts.problems == ("time zone not understood: 'UTC:30'",)
    assert facts.trigger == ""


@pytest.mark.parametrize("zone", ["UTC+99", "UTC+15", "UTC+1:60", "UTC1", "UTC+", "UTC+:", "UTC+1.5", "UTC "])
def test_time_zone_that_cannot_be(zone: str) -> None:
    facts = _read(f"{AT} ({zone}) {REST}")
    assert facts.start is None
    assert facts.problems == (f"time zone not understood: {zone.strip()!r}",)
    assert (facts.gain, facts.serial, facts.trigger) == ("medium", ID, "")


@pytest.mark.parametrize("when", ["22:00:00 31/06/2024", "25:00:00 01/06/2024", "22:00:60 01/06/2024"])
def test_time_that_cannot_be(when: str) -> None:
    facts = _read(f"Recorded at {when} (UTC) {REST}")
    assert facts.start is None
    assert facts.problems == (f"no such time: {when}",)
    assert facts.temperature_c == 12.8


def test_thousandths_of_a_second() -> None:
    facts = _read("Recorded at 21:30:05.250 01/06/2024 (UTC) " + REST)
    assert facts.start == _utc(2024, 6, 1, 21, 30, 5, 250_000)


@pytest.mark.parametrize(
    ("text", "volts"),
    [("3.06V", 3.6), ("4.00V", 4.0), ("4.09V", 4.9), ("< 3.6V", 3.6), ("> 5.0V", 5.0), ("> 5.0 V", 5.0), ("4.5V", 4.5)],
)
def test_battery_of_old_firmware(text: str, volts: float) -> None:
    facts = _read(f"{AT} by AudioMoth {ID} at gain setting 2 while battery state was {text}")
    assert facts.battery_v == volts
    assert facts.problems == ()


def test_serial_number_is_not_that_of_the_deployment() -> None:
    sentence = (
        f"{AT} (UTC) during deployment 0123456789ABCDEF at low gain while battery was 3.8V and temperature was 1.0C."
    )
    assert _read(sentence).serial == ID
    assert _read(sentence, b"").serial is None
    assert _read(sentence, b"me").serial is None


def test_serial_number_of_the_comment_goes_before_that_of_the_artist() -> None:
    assert _read(f"{AT} (UTC) {REST}", b"AudioMoth 0123456789ABCDEF").serial == ID


@pytest.mark.parametrize("artist", [ARTIST, ARTIST[:27], b"AudioMoth " + ID.encode() + b"\r\n"])
def test_what_audiomoth_utils_cuts_up_is_still_an_audiomoths(artist: bytes) -> None:
    for word in ("Split", "Expanded"):
        facts = read_comment(_comment(f"{word} from 20240601_213000T.WAV as file 1 of 12."), artist)
        assert facts == Facts("audiomoth", make="Open Acoustic Devices", model="AudioMoth", serial=ID)


def test_other_comment_in_a_file_of_an_audiomoth() -> None:
    facts = read_comment(b"in the garden", ARTIST)
    assert facts is not None
    assert (facts.serial, facts.start, facts.trigger) == (ID, None, None)
    assert facts.problems == ("not understood: 'in the garden'",)


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "Recorded in the garden",
        "Recorded at 22:00:00 01/06/2024",
        "Recorded at 22:00:00 01/06/2024 by Hans",
        "Recorded at 22:00 01/06/2024 (UTC) by AudioMoth",
        "Wildlife Acoustics, Inc.",
    ],
)
@pytest.mark.parametrize("artist", [b"", b"Hans", b"AudioMoth", b"AudioMoth 123"])
def test_comment_of_another(comment: str, artist: bytes) -> None:
    assert read_comment(comment.encode(), artist) is None


def test_remark_that_is_not_known() -> None:
    facts = _read(f"{AT} (UTC) {REST} Bats were asleep. Recording stopped due to low voltage.")
    assert facts.problems == ("not understood: 'Bats were asleep'",)
    assert facts.trigger is None
    assert facts.stop_reason == "low voltage"


def test_trigger_is_known_where_another_remark_is_not() -> None:
    assert _read(f"{AT} (UTC) {REST} {MAGNITUDE}. Bats were asleep.").trigger == MAGNITUDE


def test_both_triggers() -> None:
    assert _read(f"{AT} (UTC) {REST} {FREQUENCY}. {MAGNITUDE}.").trigger == f"{FREQUENCY}; {MAGNITUDE}"


@pytest.mark.parametrize("firmware", SENTENCES)
def test_sentence_that_was_cut_off_says_nothing_wrong(firmware: str) -> None:
    _, sentence, _ = SENTENCES[firmware]
    whole = _read(sentence)
    for length in range(1, len(sentence)):
        cut = read_comment(sentence[:length].encode(), ARTIST)
        assert cut is not None
        for key in ("start", "gain", "battery_v", "temperature_c", "stop_reason"):
            assert getattr(cut, key) in (None, getattr(whole, key)), (key, sentence[:length])
        assert cut.trigger in (None, "", whole.trigger)
        if firmware[:3] not in ("1.0", "1.1", "1.2", "1.3") and length < sentence.index("C.") + 2:
            assert cut.trigger is None
            assert cut.problems


@given(st.sampled_from(sorted(SENTENCES)), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=6))
def test_sentence_that_was_tampered_with_breaks_nothing(firmware: str, changes: list[tuple[int, bytes]]) -> None:
    comment = bytearray(SENTENCES[firmware][1].encode())
    for place, what in changes:
        comment[place : place + len(what)] = what
    facts = read_comment(bytes(comment), ARTIST)
    assert facts is not None
    assert all(len(problem) < 200 for problem in facts.problems)


@given(st.binary(max_size=400), st.binary(max_size=40))
@example(b"Recorded at " * 5000, b"")
@example(f"{AT} (UTC) by AudioMoth {ID} ".encode() + b"at " * 20000, b"")
@example(f"{AT} (UTC) {REST}".encode() + b" Recording stopped due to" * 5000, b"")
@example(f"{AT} (UTC) {REST}".encode() + b". " * 20000, b"")
@example(b"Recorded at 23:59:59.999 31/12/9999 (UTC-14) by AudioMoth", b"")
@example(b"Recorded at 00:00:00 01/01/0001 (UTC+14) by AudioMoth", b"")
@example(b'opso_metadata{"recording_start_time": "0001-01-01T00:00:00+14:00" Recorded at', b"")
def test_no_comment_breaks_anything(comment: bytes, artist: bytes) -> None:
    facts = read_comment(comment, artist)
    assert facts is None or facts.source == "audiomoth"


# real files


def _info(path: Path) -> dict[bytes, bytes]:
    def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
        while len(content) >= 8:
            name, size = struct.unpack_from("<4sI", content)
            yield name, content[8 : 8 + size]
            content = content[8 + size + size % 2 :]

    lists = dict(chunks(path.read_bytes()[12:]))
    return dict(chunks(lists[b"LIST"].removeprefix(b"INFO")))


def test_real_comment(real_recordings: Path) -> None:
    info = _info(real_recordings / "formats/metadata.wav")
    assert read_comment(info[b"ICMT"], info[b"IART"]) == Facts(
        "audiomoth",
        start=_utc(2020, 4, 4, 10, 25),
        make="Open Acoustic Devices",
        model="AudioMoth",
        serial="24526B065D325963",
        gain="2",
        trigger="",
        battery_v=4.7,
    )


def test_real_comment_that_opensoundscape_has_wrapped(real_recordings: Path) -> None:
    info = _info(real_recordings / "formats/audiomoth_gps.wav")
    assert read_comment(info[b"ICMT"], info[b"IART"]) == Facts(
        "audiomoth",
        start=_utc(2024, 5, 28, 10),
        make="Open Acoustic Devices",
        model="AudioMoth",
        serial="243B1F026488F56E",
        gain="medium",
        trigger="",
        temperature_c=12.8,
        battery_v=3.8,
    )


def test_clip_of_opensoundscape_has_a_start_of_its_own() -> None:
    comment = (
        f'opso_metadata{{"comment": "{AT} (UTC) {REST}", "recording_start_time": "2024-06-01T22:45:00.500000+00:00"}}'
    )
    assert _read(comment).start == _utc(2024, 6, 1, 22, 45, 0, 500_000)
    assert _read(comment.replace("2024-06-01T", "soon")).start == _utc(2024, 6, 1, 21, 30, 5)


# CONFIG.TXT

CONFIG_1_4_2 = f"""
Device ID                       : {ID}
Firmware                        : AudioMoth-Firmware-Basic (1.4.2)

Time zone                       : UTC+1

Sample rate (Hz)                : 250000
Gain                            : Medium

Sleep duration (s)              : 5
Recording duration (s)          : 55

Active recording periods        : 2

Recording period 1              : 00:00 - 05:00 (UTC)
Recording period 2              : 19:00 - 24:00 (UTC)

Earliest recording time         : 2024-06-01 00:00:00 (UTC)
Latest recording time           : ---------- --:--:--

Filter                          : Band-pass (8.0kHz - 12.0kHz)
Amplitude threshold             : 1000

Enable LED                      : true
Enable low-voltage cutoff       : false
Enable battery level indication : true
"""

CONFIG_1_6_0 = f"""Device ID                       : {ID}
Firmware                        : AudioMoth-Firmware-Basic (1.6.0)

Deployment ID                   : 0123456789ABCDEF

Time zone                       : UTC-3:30

Sample rate (Hz)                : 384000
Gain                            : Low-Medium

Sleep duration (s)              : -
Recording duration (s)          : -

Active recording periods        : 1

Recording period 1              : 00:00 - 24:00 (UTC)

Earliest recording time         : ---------- --:--:--
Latest recording time           : 2024-06-03 12:00:00 (UTC)

Filter                          : -
Amplitude threshold             : -30 dB
Minimum trigger duration (s)    : 5

Enable LED                      : Yes
Enable low-voltage cut-off      : Yes
Enable battery level indication : Yes (NiMH/LiPo voltage range)

Always require acoustic chime   : No
Disable 48Hz DC blocking filter : No
Enable energy saver mode        : No
"""

CONFIG_1_8_1 = f"""Device ID                       : {ID}
Firmware                        : AudioMoth-Firmware-Basic (1.8.1)

Time zone                       : UTC

Sample rate (Hz)                : 192000
Gain                            : High

Sleep duration (s)              : 0
Recording duration (s)          : 3600

Active recording periods        : 1

Recording period 1              : 19:00 - 24:00 (UTC)

Earliest recording time         : ---------- --:--:--
Latest recording time           : ---------- --:--:--

Filter                          : High-pass (8.0kHz)

Trigger type                    : Frequency (25.0kHz and window length of 256 samples)
Threshold setting               : 0.05%
Minimum trigger duration (s)    : 5

Enable LED                      : Yes
Enable low-voltage cut-off      : Yes
Enable battery level indication : No

Always require acoustic chime   : No
Use daily folder for WAV files  : Yes

Disable 48Hz DC blocking filter : No
Enable energy saver mode        : No
Enable low gain range           : No

Enable magnetic switch          : No
Enable GPS time setting         : No
"""

CONFIG_1_9_0 = f"""Device ID                       : {ID}
Firmware                        : AudioMoth-Firmware-Basic (1.9.0)

Time zone                       : UTC+1

Sample rate (Hz)                : 384000
Gain                            : Medium-High

Sleep duration (s)              : 240
Recording duration (s)          : 60

Active recording periods        : 2

Recording period 1              : 05:00 - 06:30 (UTC+1)
Recording period 2              : 20:00 - 02:00 (UTC+1)

First recording date            : 2024-06-01 (UTC+1)
Last recording time             : 2024-06-03 12:30:00 (UTC+1)

Filter                          : -

Trigger type                    : -
Threshold setting               : -
Minimum trigger duration (s)    : -

Enable LED                      : Yes
Enable low-voltage cut-off      : Yes
Enable battery level indication : Yes

Always require acoustic chime   : No
Use daily folder for WAV files  : No

Disable 48Hz DC blocking filter : No
Enable energy saver mode        : No
Enable low gain range           : No

Enable magnetic switch          : No
Enable GPS time setting         : No
""".replace("\n", "\r\n")

CONFIG_1_11_0 = f"""Device ID                       : {ID}
Firmware                        : AudioMoth-Firmware-Basic (1.11.0)

Device time                     : 2024-06-01 12:21:10 (UTC-4)

Sample rate (Hz)                : 250000
Gain                            : Medium

Sleep duration (s)              : -
Recording duration (s)          : -

Active recording periods        : 1

Recording period 1              : 00:00 - 00:00 (UTC-4)

First recording date            : ----------
Last recording date             : 2024-06-30 (UTC-4)

Filter                          : -

Trigger type                    : Amplitude
Threshold setting               : 0.0005%
Minimum trigger duration (s)    : 0

Enable LED                      : Yes
Enable low-voltage cut-off      : Yes
Enable battery level indication : Yes

Always require acoustic chime   : No
Use device ID in WAV file name  : Yes
Use daily folder for WAV files  : Yes

Disable 48Hz DC blocking filter : No
Enable energy saver mode        : No
Enable low gain range           : No

Enable magnetic switch          : No

Enable GPS time setting         : No
GPS fix before and after        : -
GPS fix time (mins)             : -
""".replace("\n", "\r\n")

CONFIG_SUN = CONFIG_1_11_0.replace(
    "Active recording periods        : 1\r\n\r\nRecording period 1              : 00:00 - 00:00 (UTC-4)",
    "Location                        : 51.033469°N 14.341964°E (Acoustic chime)\r\n"
    "Sun recording mode              : Civil dusk to dawn\r\n"
    "Dawn - before, after (mins)     : -, 30\r\n"
    "Dusk - before, after (mins)     : 45, -\r\n"
    "Dawn/dusk rounding (mins)       : 5",
)


def _config(text: str) -> AudioMothConfig:
    config = read_config(text.encode())
    assert config is not None
    return config


def test_config_1_4_2() -> None:
    assert _config(CONFIG_1_4_2) == AudioMothConfig(
        serial=ID,
        firmware="AudioMoth-Firmware-Basic (1.4.2)",
        sample_rate_hz=250_000,
        gain="Medium",
        periods=((60, 360), (1200, 60)),
        offset_min=60,
        first=_utc(2024, 6, 1),
        sleep_s=5,
        record_s=55,
        trigger="Amplitude threshold 1000",
    )


def test_config_1_6_0() -> None:
    assert _config(CONFIG_1_6_0) == AudioMothConfig(
        serial=ID,
        firmware="AudioMoth-Firmware-Basic (1.6.0)",
        sample_rate_hz=384_000,
        gain="Low-Medium",
        periods=((1230, 1230),),
        offset_min=-210,
        last=_utc(2024, 6, 3, 12),
        trigger="Amplitude threshold -30 dB, at least 5 s",
    )


def test_config_1_8_1() -> None:
    assert _config(CONFIG_1_8_1) == AudioMothConfig(
        serial=ID,
        firmware="AudioMoth-Firmware-Basic (1.8.1)",
        sample_rate_hz=192_000,
        gain="High",
        periods=((1140, 1440),),
        offset_min=0,
        sleep_s=0,
        record_s=3600,
        trigger="Frequency (25.0kHz and window length of 256 samples) threshold 0.05%, at least 5 s",
        daily_folder=True,
    )


def test_config_1_9_0() -> None:
    assert _config(CONFIG_1_9_0) == AudioMothConfig(
        serial=ID,
        firmware="AudioMoth-Firmware-Basic (1.9.0)",
        sample_rate_hz=384_000,
        gain="Medium-High",
        periods=((300, 390), (1200, 120)),
        offset_min=60,
        first=date(2024, 6, 1),
        last=datetime(2024, 6, 3, 12, 30, tzinfo=timezone(timedelta(hours=1))),
        sleep_s=240,
        record_s=60,
        trigger="",
    )


def test_config_1_11_0() -> None:
    config = _config(CONFIG_1_11_0)
    assert config == AudioMothConfig(
        serial=ID,
        firmware="AudioMoth-Firmware-Basic (1.11.0)",
        sample_rate_hz=250_000,
        gain="Medium",
        periods=((0, 0),),
        offset_min=-240,
        last=date(2024, 6, 30),
        trigger="Amplitude threshold 0.0005%, at least 0 s",
        daily_folder=True,
    )
    assert not isinstance(config.last, datetime)


def test_config_of_a_sun_mode() -> None:
    config = _config(CONFIG_SUN)
    assert (config.sun, config.periods, config.problems) == (True, (), ())
    assert scheduled_windows(config, date(2024, 6, 1), date(2024, 6, 2)) == []


@pytest.mark.parametrize("change", ["\ufeff", "\n\n", "some remark\n"])
def test_config_that_an_editor_has_changed(change: str) -> None:
    assert _config(change + CONFIG_1_9_0) == _config(CONFIG_1_9_0)
    assert _config((change + CONFIG_1_9_0).replace("\r", "")) == _config(CONFIG_1_9_0)


@pytest.mark.parametrize(
    ("old", "new", "field", "problem"),
    [
        ("UTC+1\r", "UTC+x\r", "offset_min", "time zone not understood: 'UTC+x'"),
        (": 384000", ": fast", "sample_rate_hz", "Sample rate (Hz) not understood: 'fast'"),
        (": 240", ": -5", "sleep_s", "Sleep duration (s) not understood: '-5'"),
        ("20:00 - 02:00", "20:00 - 02:75", "periods", "recording periods not understood: 1 of 2"),
        ("20:00 - 02:00", "24:00 - 02:00", "periods", "recording periods not understood: 1 of 2"),
        ("Recording period 2 ", "Recording 2 ", "periods", "recording periods not understood: 1 of 2"),
        ("2024-06-01 (", "2024-13-01 (", "first", "First recording date not understood: '2024-13-01 (UTC+1)'"),
        ("2024-06-01 (", "0001-01-01 (", "first", "First recording date not understood: '0001-01-01 (UTC+1)'"),
        ("2024-06-03 12:30", "2024-06-03 25:30", "last", "Last recording time not understood: '2024-06-03 25:30:00"),
        (f": {ID}", ": 24A", "serial", "device ID not understood: '24A'"),
    ],
)
def test_config_line_that_is_not_understood(old: str, new: str, field: str, problem: str) -> None:
    assert old in CONFIG_1_9_0
    config = _config(CONFIG_1_9_0.replace(old, new))
    assert getattr(config, field) is None
    assert [found for found in config.problems if found.startswith(problem)]
    assert config.gain == "Medium-High"


@pytest.mark.parametrize("text", ["", "hello", "Device ID : x", "Firmware : 1.2", "[section]\nkey = value"])
def test_file_that_is_no_config(text: str) -> None:
    assert read_config(text.encode()) is None


def test_config_that_was_cut_off() -> None:
    for whole in (CONFIG_1_4_2, CONFIG_1_9_0, CONFIG_SUN):
        config = _config(whole)
        for length in range(len(whole)):
            cut = read_config(whole[:length].encode())
            if cut is None:
                assert length < 60
            elif not cut.problems:
                assert (cut.periods, cut.offset_min, cut.sun) == (config.periods, config.offset_min, config.sun)


@given(st.binary(max_size=300))
@example(b"Device ID:0123456789ABCDEF\nActive recording periods:0\nTime zone:UTC")
@example(b"Device ID:0123456789ABCDEF\nActive recording periods:9999999999999")
@example(b"Firmware:AudioMoth\nTime zone:UTC\n" + b"Recording period 1:" * 9999)
def test_no_config_breaks_anything(content: bytes) -> None:
    config = read_config(content)
    if config:
        scheduled_windows(config, date(2024, 6, 1), date(2024, 6, 3))
        assert 0 <= duty_share(config) <= 1


@given(
    st.sampled_from([CONFIG_1_4_2, CONFIG_1_9_0, CONFIG_SUN]),
    st.lists(st.tuples(st.integers(0, 1600), st.binary(max_size=3)), max_size=20),
    st.dates(),
    st.dates(),
)
@example(CONFIG_1_9_0, [], date.min, date.max)
@example(CONFIG_1_9_0, [], date.max, date.max)
def test_config_that_was_tampered_with_breaks_nothing(
    text: str, changes: list[tuple[int, bytes]], first: date, last: date
) -> None:
    content = bytearray(text.encode())
    for place, what in changes:
        content[place : place + len(what)] = what
    config = read_config(bytes(content))
    if config:
        windows = scheduled_windows(config, first, max(first, min(last, date(2030, 1, 1))))
        assert all(start < stop for start, stop in windows)
        assert 0 <= duty_share(config) <= 1


# schedules


def _hours(windows: list[tuple[datetime, datetime]]) -> list[tuple[str, str]]:
    assert all(moment.tzinfo == UTC for window in windows for moment in window)
    return [(f"{start:%d %H:%M}", f"{stop:%d %H:%M}") for start, stop in windows]


def _schedule(*periods: tuple[int, int], offset_min: int = 0, **more: object) -> AudioMothConfig:
    return AudioMothConfig(periods=periods, offset_min=offset_min, **more)  # type: ignore[arg-type]


NIGHT = date(2024, 6, 10)


def test_window_over_midnight_is_one() -> None:
    config = _schedule((1200, 360), offset_min=60)
    assert _hours(scheduled_windows(config, NIGHT, NIGHT)) == [("10 19:00", "11 05:00")]
    assert _hours(scheduled_windows(config, NIGHT, date(2024, 6, 11))) == [
        ("10 19:00", "11 05:00"),
        ("11 19:00", "12 05:00"),
    ]


def test_periods_that_old_firmware_has_cut_at_midnight_utc_are_one_window() -> None:
    config = _config(CONFIG_1_4_2)
    assert _hours(scheduled_windows(config, NIGHT, NIGHT)) == [("10 19:00", "11 05:00")]


def test_night_is_from_noon_to_noon_by_the_clock_of_the_recorder() -> None:
    config = _schedule((660, 780), offset_min=-210)
    assert _hours(scheduled_windows(config, NIGHT, NIGHT)) == [("10 15:30", "10 16:30"), ("11 14:30", "11 15:30")]


@pytest.mark.parametrize("periods", [((0, 0),), ((0, 1440),), ((600, 600),), ((0, 720), (720, 0)), ()])
def test_all_day(periods: tuple[tuple[int, int], ...]) -> None:
    config = _schedule(*periods, offset_min=120)
    assert _hours(scheduled_windows(config, NIGHT, date(2024, 6, 12))) == [("10 10:00", "13 10:00")]


def test_several_periods_in_a_night() -> None:
    config = _schedule((1260, 1320), (1410, 30), (240, 300))
    assert _hours(scheduled_windows(config, NIGHT, NIGHT)) == [
        ("10 21:00", "10 22:00"),
        ("10 23:30", "11 00:30"),
        ("11 04:00", "11 05:00"),
    ]


def test_schedule_is_cut_at_the_first_and_last_date() -> None:
    config = _schedule((1200, 360), offset_min=60, first=date(2024, 6, 11), last=date(2024, 6, 12))
    assert _hours(scheduled_windows(config, NIGHT, date(2024, 6, 14))) == [
        ("10 23:00", "11 05:00"),
        ("11 19:00", "12 05:00"),
        ("12 19:00", "12 23:00"),
    ]


def test_schedule_is_cut_at_the_first_and_last_time() -> None:
    config = _schedule((1200, 360), first=_utc(2024, 6, 10, 21, 30), last=_utc(2024, 6, 11, 22))
    assert _hours(scheduled_windows(config, date(2024, 6, 1), date(2024, 6, 30))) == [
        ("10 21:30", "11 06:00"),
        ("11 20:00", "11 22:00"),
    ]


def test_no_window_outside_of_the_schedule() -> None:
    config = _schedule((1200, 360), first=date(2024, 7, 1))
    assert scheduled_windows(config, NIGHT, NIGHT) == []
    assert scheduled_windows(_schedule((1200, 360)), NIGHT, date(2024, 6, 9)) == []


@pytest.mark.parametrize("config", [AudioMothConfig(), AudioMothConfig(periods=()), AudioMothConfig(offset_min=0)])
def test_schedule_that_is_not_known_has_no_windows(config: AudioMothConfig) -> None:
    assert scheduled_windows(config, NIGHT, NIGHT) == []


def test_recorder_without_periods_runs_whatever_else_is_set() -> None:
    # its switch is at DEFAULT
    config = _schedule(first=date(2024, 7, 1), sleep_s=5.0, record_s=55.0)
    assert _hours(scheduled_windows(config, NIGHT, NIGHT)) == [("10 12:00", "11 12:00")]
    assert duty_share(config) == 1.0


@given(
    st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1440)), min_size=1, max_size=5),
    st.integers(-840, 840),
    st.integers(0, 4),
)
def test_windows_are_what_the_periods_say(periods: list[tuple[int, int]], offset_min: int, nights: int) -> None:
    config = _schedule(*periods, offset_min=offset_min)
    windows = scheduled_windows(config, NIGHT, NIGHT + timedelta(days=nights))
    assert all(start < stop for start, stop in windows)
    assert all(before[1] < after[0] for before, after in pairwise(windows))
    noon = datetime(2024, 6, 10, 12, tzinfo=UTC) - timedelta(minutes=offset_min)
    for minute in range(0, (nights + 1) * 1440, 7):
        of_day = (720 + minute) % 1440
        wanted = any(
            start <= of_day < end if start < end else of_day >= start or of_day < end for start, end in periods
        )
        moment = noon + timedelta(minutes=minute)
        assert any(start <= moment < stop for start, stop in windows) == wanted


@pytest.mark.parametrize(
    ("sleep_s", "record_s", "share"),
    [
        (5.0, 55.0, 55 / 60),
        (0.0, 3600.0, 1.0),
        (240.0, 60.0, 0.2),
        (None, None, 1.0),
        (5.0, None, 1.0),
        (0.0, 0.0, 1.0),
    ],
)
def test_duty_share(sleep_s: float | None, record_s: float | None, share: float) -> None:
    assert duty_share(_schedule((1200, 360), sleep_s=sleep_s, record_s=record_s)) == share
    assert duty_share(AudioMothConfig(sun=True, periods=(), sleep_s=sleep_s, record_s=record_s)) == share
