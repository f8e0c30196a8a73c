import os

import pytest
import settingsbox


@pytest.fixture
def settings():
    return settingsbox.Settings({"colour": "red", "size": 3})


def test_get(settings):
    assert settings.get("colour") == "red"
    assert settings.get("shape") is None
    assert settings.get("shape", "round") == "round"


def test_set_and_remove(settings):
    settings.set("shape", "square")
    assert len(settings) == 3
    settings.remove("shape")
    assert sorted(settings.names()) == ["colour", "size"]


def test_freeze(settings):
    settings.freeze()
    with pytest.raises(settingsbox.FrozenSettings):
        settings.set("colour", "blue")


def test_from_environ(mocker):
    mocker.patch.dict(os.environ, {"APP_LEVEL": "7"})
    assert settingsbox.from_environ(os.environ).get("level") == "7"
