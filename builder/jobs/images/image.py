"""Image jobs: base, interpreters, builder, verification image, race detector, and a package's system packages on top.

Facts of each: `tag`, `content` (hash of what is inside, the part of downstream keys), `bytes`; of a builder with
system packages also `missing`, the packages its base does not have, in which case there is no image.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from builder import host
from builder.config import catalog
from builder.engine.client import LABEL, Limits, Task
from builder.errors import InfrastructureError
from builder.jobs.job import Result
from builder.store.files import file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.engine.client import Engine
    from builder.jobs.job import Tools
    from builder.store.evidence import Evidence

CA_LABEL = "wheelfarm.ca"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def read_recipe(name: str) -> str:
    """Return the text of a file of images/."""
    return (catalog.images_dir() / name).read_text()


def image_tag(name: str, key: str) -> str:
    """Return what an image is called in the engine."""
    return f"wheelfarm/{name}:{key[:16]}"


def ca_digest() -> str:
    """Return a hash of the CA bundle that images carry."""
    return file_sha256(host.ca_bundle())[:16]


def list_packages(tag: str, tools: Tools) -> str:
    """List an image's system packages with their versions; the list is what a base's content is."""
    target = "/tmp/list"  # noqa: S108 - inside a throw-away container
    script = (
        "cat /etc/os-release; dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n' | sort"
    )
    command = ["sh", "-c", f"({script}) > {target}"]
    task = Task(
        image=tag, command=command, collect=target, user="root", limits=Limits(timeout_s=120)
    )
    ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
    if ended.exit_code != 0 or not ended.output:
        raise InfrastructureError(f"{tag} does not run: exit code {ended.exit_code}")
    return next(iter(ended.output.values())).decode()


def build_image(
    tag: str, dockerfile: str, files: tuple[str, ...], arguments: Mapping[str, str], tools: Tools,
    extra: Mapping[str, bytes | Path] | None = None,
) -> str | None:  # fmt: skip
    """Build an image from files of images/ and return what went wrong, or None."""
    context: dict[str, bytes | Path] = {name: catalog.images_dir() / name for name in files}
    # Every stage is labelled, not the last one alone: `gc` goes by labels. The recipe, and so its key, stays.
    labelled = re.sub(
        r"^FROM .*$", rf"\g<0>\nLABEL {LABEL}=image", read_recipe(dockerfile), flags=re.MULTILINE
    )
    context |= {"Dockerfile": labelled.encode(), **(extra or {})}

    def log(text: str) -> None:
        with tools.log.open("a") as file:
            file.write(_COLOUR.sub("", text))  # the engine paints errors, in pieces of a line
        if step := re.match(r"Step (\d+/\d+) : RUN (.+)", text):
            tools.say(f"step {step[1]}: {step[2][:80]}")

    return tools.engine.build_image(
        tag,
        context=context,
        arguments=arguments,
        labels={CA_LABEL: ca_digest()},
        log=log,
        stop=tools.stop,
    )


def image_facts(tag: str, content: str, tools: Tools) -> Result:
    """Return the facts of an image that is there."""
    return Result(facts={"tag": tag, "content": content, "bytes": tools.engine.image_bytes(tag)})


class Image:
    """What all image jobs share: the image is there when the engine knows its tag."""

    @property
    def needs(self) -> tuple[str, ...]:
        raise NotImplementedError

    def key_inputs(self, inputs: Mapping[str, Evidence]) -> Mapping[str, object]:
        return {need: inputs[need].facts["content"] for need in self.needs}

    def is_present(self, evidence: Evidence, engine: Engine) -> bool:
        return "tag" not in evidence.facts or engine.image_labels(evidence.facts["tag"]) is not None
