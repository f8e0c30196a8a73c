"""Readers of signed telegrams, each with a listener of its own."""

import unittest

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


class ReaderTest(unittest.TestCase):
    def setUp(self):
        key = b"desk"
        self.desk = Desk()
        self.reader = telegrapher.Reader(sign(bytes([len(key) + 2]) + key), self.desk)

    def test_a_telegram_reaches_the_desk(self):
        self.reader.read(sign(b"HAMBURG:arrive at noon"))
        self.assertEqual(self.desk.texts, [b"arrive at noon"])

    def test_every_station_is_known(self):
        for number in range(12):
            telegram = sign(f"STATION {number}:ready".encode())
            self.assertGreaterEqual(self.reader.read(telegram), 1)

    def test_what_is_not_signed_is_refused(self):
        with self.assertRaisesRegex(ValueError, "not signed"):
            self.reader.read(b"HAMBURG:arrive at noon.")

    def test_a_key_has_to_be_signed(self):
        with self.assertRaisesRegex(ValueError, "not signed"):
            telegrapher.Reader(b"desk", self.desk)
