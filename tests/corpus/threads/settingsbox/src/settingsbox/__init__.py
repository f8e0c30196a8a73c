"""A registry of settings with defaults and a freeze."""

from settingsbox._settings import FrozenSettings, Settings

__all__ = ["FrozenSettings", "Settings", "from_environ"]


def from_environ(environ, prefix="APP_"):
    """Settings from the variables of an environment that begin with *prefix*."""
    settings = Settings()
    for name, value in environ.items():
        if name.startswith(prefix):
            settings.set(name[len(prefix):].lower(), value)
    return settings
