"""Unpack sdists, whose tests and examples tell how a package is called."""

import tarfile
import zipfile
from pathlib import Path


def unpack(sdist: str, folder: Path) -> Path:
    """Unpack an sdist and return its root: the folder that all its files are in.

    Args:
        sdist: a `.tar.gz`, or a `.zip` as some projects still publish.
        folder: where to unpack it.

    Raises:
        OSError: it cannot be read, or written there.
        tarfile.TarError: it is no tar archive, or holds what would land outside the folder.
        zipfile.BadZipFile: it is no zip archive.
    """
    if sdist.endswith(".zip"):
        with zipfile.ZipFile(sdist) as archive:
            archive.extractall(folder)
    else:
        with tarfile.open(sdist) as tar:
            tar.extractall(folder, filter="data")

    # A well-formed sdist has one folder at its top; without any, what was unpacked is the root itself.
    folders = [path for path in folder.iterdir() if path.is_dir()]
    return min(folders, default=folder)
