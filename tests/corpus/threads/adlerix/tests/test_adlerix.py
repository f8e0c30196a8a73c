import adlerix


def test_known():
    assert adlerix.crc32c(b"123456789") == 0xE3069283


def test_continued():
    data = bytes(range(200))
    assert adlerix.crc32c(data[77:], value=adlerix.crc32c(data[:77])) == adlerix.crc32c(data)
    assert adlerix.combine([data[:50], data[50:]]) == adlerix.crc32c(data)
