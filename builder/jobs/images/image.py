"""What all image jobs share: a job that makes an image, its key, and how an image is built from a Dockerfile.

builder/evidence/image.py has the model of their facts.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from builder.config import catalog
from builder.engine.labels import LABEL
from builder.engine.tasks import Limits, Task
from builder.errors import InfrastructureError
from builder.evidence.image import ImageFacts, read_image_content
from builder.host import settings as host
from builder.jobs.job import Result
from builder.store.files import file_sha256
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.engine.client import Engine
    from builder.jobs.job import Inputs, Needs, Tools
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId

CA_LABEL = "wheelfarm.ca"

# The engine's classic builder colours what a step prints to standard error.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FROM = re.compile(r"^FROM .*$", re.MULTILINE)
_STEP = re.compile(r"Step (\d+/\d+) : RUN (.+)")

# How much of a step's command is shown: it may be a whole script, and its beginning fits on one line of a terminal.
_SHOWN_CHARS = 80

_WORDS_OF_A_PACKAGE = 3  # of a line of `list_packages`: name, version, architecture


class Image(ABC):
    """A job that makes an image, which exists if the container engine knows its tag."""

    @property
    @abstractmethod
    def id(self) -> JobId:
        """Its id."""

    @property
    @abstractmethod
    def needs(self) -> Needs:
        """The images it stands on, by role."""

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        return {str(need): read_image_content(inputs[role]) for role, need in self.needs.items()}

    def is_present(self, evidence: Evidence, engine: Engine) -> bool:
        """Return whether the engine still has the image of this evidence, or there never was one to have."""
        tag = ImageFacts.read(evidence).tag
        if tag is None:
            return (
                True  # the evidence says that it could not be made, so that no image can be missing
            )

        return self.is_usable(engine.images.read_labels(tag))

    def is_usable(self, labels: Mapping[str, str] | None) -> bool:
        """Return whether an image need not be made again, by its labels; None stands for no image."""
        return labels is not None


class BuiltImage(Image):
    """An image that a Dockerfile of images/ makes of other images.

    Attributes:
        recipe: the name of the Dockerfile without its extension. Keys begin with it.
        files: files of images/ that the Dockerfile copies.
        counts_packages: whether the list of the image's system packages is part of its content. Where the recipe
            installs packages, the archive may give other versions to the same recipe; else the key says it all.
    """

    recipe: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = ()
    counts_packages: ClassVar[bool] = True

    @property
    @abstractmethod
    def title(self) -> str:
        """What the image is called in a message."""

    @property
    def repository(self) -> str:
        """What the image is called in the engine, without its tag."""
        return self.id.name

    @abstractmethod
    def settings(self) -> Mapping[str, object]:
        """Return what can change the result beside its inputs. Keys hash the values in this order."""

    @abstractmethod
    def arguments(self, inputs: Inputs) -> Mapping[str, str]:
        """Return the build arguments of the Dockerfile."""

    def extra_files(self, tools: Tools) -> Mapping[str, bytes | Path]:  # noqa: ARG002 - for those that override it
        """Return files for the build context that are not in images/, by path."""
        return {}

    def read_recipes(self) -> list[str]:
        """Return the text of the Dockerfile and of the files it copies."""
        return [read_recipe(name) for name in (f"{self.recipe}.Dockerfile", *self.files)]

    def key(self, inputs: Inputs) -> str:
        """Return a hash of all that can change the image: its recipe, its settings and the images it is made from."""
        contents = list(self.key_inputs(inputs).values())
        # A single input is hashed by itself, not in a list. A list would change the keys, and all images would be built
        # again.
        content = contents[0] if len(contents) == 1 else contents

        return digest(self.recipe, *self.settings().values(), content)

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Build the image, unless the engine has it, and return its tag and a hash of its content.

        Raises:
            InfrastructureError: it does not build, through no fault of the matrix.
            Interrupted: the farm was asked to stop.
        """
        key = self.key(inputs)
        tag = image_tag(self.repository, key)

        if not self.is_usable(tools.engine.images.read_labels(tag)):
            error = build_image(
                tag,
                f"{self.recipe}.Dockerfile",
                self.files,
                self.arguments(inputs),
                tools,
                extra_files=self.extra_files(tools),
            )
            if error is not None:
                return self.explain_failure(error, tools)

        if not self.counts_packages:
            return image_facts(tag, key, tools)

        listing = list_packages(tag, tools)
        return image_facts(tag, digest(key, listing), tools, packages=parse_packages(listing))

    def explain_failure(self, error: str, tools: Tools) -> Result:
        """Return the facts of an image that did not build, if the matrix is at fault.

        Raises:
            InfrastructureError: the infrastructure is at fault; images without another cause always raise this.
        """
        raise InfrastructureError(f"{self.title} did not build: {error} (log: {tools.log})")


def read_recipe(name: str) -> str:
    """Return the text of a file of images/."""
    return (catalog.images_dir() / name).read_text()


def image_tag(name: str, key: str) -> str:
    """Return the full name of an image in the engine, such as `wheelfarm/builder-debian-12:0123456789abcdef`."""
    return f"wheelfarm/{name}:{key[:16]}"


def ca_digest() -> str:
    """Return a hash of the CA bundle that images carry."""
    return file_sha256(host.ca_bundle())[:16]


def list_packages(tag: str, tools: Tools) -> str:
    """Return a text with the release and the system packages of an image, one package a line with its version.

    Hashes of images' contents are made from it.

    Raises:
        InfrastructureError: the image does not run.
        Interrupted: the farm was asked to stop.
    """
    target = "/tmp/list"  # noqa: S108 - inside a throw-away container
    script = (
        "cat /etc/os-release; dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n' | sort"
    )
    task = Task(
        image=tag,
        command=["sh", "-c", f"({script}) > {target}"],
        collect=target,
        user="root",
        limits=Limits(timeout_s=120),
    )
    ended = tools.engine.run(task, log=tools.log, stop=tools.stop)

    if ended.exit_code != 0 or not ended.output:
        raise InfrastructureError(f"{tag} does not run: exit code {ended.exit_code}")
    return next(iter(ended.output.values())).decode()


def parse_packages(listing: str) -> dict[str, str]:
    """Return the version of each system package that the text of `list_packages` names, by name.

    Lines of the release (`ID=debian`) are skipped, and so are packages that were removed: these have no version.
    """
    versions: dict[str, str] = {}
    for line in listing.splitlines():
        words = line.split()
        is_package = len(words) == _WORDS_OF_A_PACKAGE and "=" not in words[0]
        if is_package:
            name, version, _ = words
            versions[name] = version

    return versions


def build_image(
    tag: str,
    dockerfile: str,
    files: tuple[str, ...],
    arguments: Mapping[str, str],
    tools: Tools,
    *,
    extra_files: Mapping[str, bytes | Path],
) -> str | None:
    """Build an image from files of images/. Return None where that worked, else the error.

    Args:
        tag: the full name to give to the image.
        dockerfile: name of the Dockerfile in images/.
        files: names of the files in images/ that the Dockerfile copies.
        arguments: build arguments.
        tools: of the job.
        extra_files: other files for the build context, by their path in it.
    """
    # `gc` finds images by their labels, so every stage gets one, not only the last. They are added here and not in the
    # Dockerfile, whose text is part of the key.
    labelled = _FROM.sub(rf"\g<0>\nLABEL {LABEL}=image", read_recipe(dockerfile))

    context: dict[str, bytes | Path] = {name: catalog.images_dir() / name for name in files}
    context["Dockerfile"] = labelled.encode()
    context |= extra_files

    def log(text: str) -> None:
        """Append what the engine prints to the log, and show each step of the Dockerfile as it begins."""
        with tools.log.open("a") as file:
            file.write(_COLOUR.sub("", text))

        step = _STEP.match(text)
        if step:
            tools.say(f"step {step[1]}: {step[2][:_SHOWN_CHARS]}")

    return tools.engine.images.build(
        tag,
        context=context,
        arguments=arguments,
        labels={CA_LABEL: ca_digest()},
        log=log,
        stop=tools.stop,
    )


def image_facts(
    tag: str,
    content: str,
    tools: Tools,
    *,
    taken: str = "",
    packages: Mapping[str, str] | None = None,
) -> Result:
    """Return the facts of an image that the engine has.

    Args:
        tag: the image's full name.
        content: the hash by which the keys of other jobs know the image.
        tools: of the job.
        taken: what a registry gave, by its digest; empty where it was made here or earlier.
        packages: versions of its system packages, by name; None where its content does not follow from them.
    """
    size = tools.engine.images.read_size(tag)
    facts = ImageFacts(
        tag=tag,
        content=content,
        bytes=size,
        taken=taken,
        packages=None if packages is None else dict(packages),
    )
    return Result(facts=facts)
