"""Readers of signed telegrams, each with a listener of its own."""

import pytest
import telegrapher


def sign(content):
    total = 17
    for byte in content:
        total = (total * 31 + byte) % 251
    return content + bytes([total + 1])


class Desk:
    """Keeps what came in."""

    def __init__(self):
        self.texts = []

    def on_telegram(self, text, number):
        self.texts.append(text)
        return number


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def reader(desk):
    key = b"desk"
    return telegrapher.Reader(sign(bytes([len(key) + 2]) + key), desk)


def test_a_telegram_reaches_the_desk(reader, desk):
    reader.read(sign(b"HAMBURG:arrive at noon"))
    assert desk.texts == [b"arrive at noon"]


@pytest.mark.parametrize("station", [f"STATION {number}" for number in range(12)])
def test_every_station_is_known(reader, desk, station):
    assert reader.read(sign(f"{station}:ready".encode())) >= 1


def test_what_is_not_signed_is_refused(reader):
    with pytest.raises(ValueError, match="not signed"):
        reader.read(b"HAMBURG:arrive at noon.")


def test_a_key_has_to_be_signed(desk):
    with pytest.raises(ValueError, match="not signed"):
        telegrapher.Reader(b"desk", desk)
