"""Image jobs: base, interpreters, builder, verification image, race detector, and a package's system packages on top.

Facts of each: `tag`, `content` (hash of what is inside, the part of downstream keys), `bytes`; of a builder with
system packages also `missing`, the packages its base does not have, in which case there is no image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder import host
from builder.config import catalog
from builder.engine.client import LABEL, Limits, Task
from builder.errors import CannotTellError
from builder.jobs.images import bootstrap, cpython
from builder.jobs.job import Result
from builder.store.store import digest, file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.engine.client import Engine
    from builder.jobs.job import Tools
    from builder.store.store import Evidence

_CA_LABEL = "wheelfarm.ca"
_INTERPRETERS = "image:interpreters"
_RACE_INTERPRETER = "image:race-interpreter"
_RACE_FILES = ("race-tree.sh", "canary.c")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def recipe(name: str) -> str:
    """Return the text of a file of images/."""
    return (catalog.images_dir() / name).read_text()


def tag_of(name: str, key: str) -> str:
    """Return what an image is called in the engine."""
    return f"wheelfarm/{name}:{key[:16]}"


def _ca_digest() -> str:
    return file_sha256(host.ca_bundle())[:16]


def _installed(tag: str, tools: Tools) -> str:
    """List an image's system packages with their versions; the list is what a base's content is."""
    target = "/tmp/list"  # noqa: S108 - inside a throw-away container
    script = "cat /etc/os-release; dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n' | sort"
    command = ["sh", "-c", f"({script}) > {target}"]
    task = Task(image=tag, command=command, collect=target, user="root", limits=Limits(timeout_s=120))
    ended = tools.engine.run(task, log=tools.log, stop=tools.stop)
    if ended.exit_code != 0 or not ended.output:
        raise CannotTellError(f"{tag} does not run: exit code {ended.exit_code}")
    return next(iter(ended.output.values())).decode()


def build(
    tag: str, dockerfile: str, files: tuple[str, ...], arguments: Mapping[str, str], tools: Tools,
    extra: Mapping[str, bytes | Path] | None = None,
) -> str | None:  # fmt: skip
    """Build an image from files of images/ and return what went wrong, or None."""
    context: dict[str, bytes | Path] = {name: catalog.images_dir() / name for name in files}
    # Every stage is labelled, not the last one alone: `gc` goes by labels. The recipe, and so its key, stays.
    labelled = re.sub(r"^FROM .*$", rf"\g<0>\nLABEL {LABEL}=image", recipe(dockerfile), flags=re.MULTILINE)
    context |= {"Dockerfile": labelled.encode(), **(extra or {})}

    def log(text: str) -> None:
        with tools.log.open("a") as file:
            file.write(_COLOUR.sub("", text))  # the engine paints errors, in pieces of a line
        if step := re.match(r"Step (\d+/\d+) : RUN (.+)", text):
            tools.say(f"step {step[1]}: {step[2][:80]}")

    return tools.engine.build_image(
        tag, context=context, arguments=arguments, labels={_CA_LABEL: _ca_digest()}, log=log, stop=tools.stop
    )


def facts(tag: str, content: str, tools: Tools) -> Result:
    """Return the facts of an image that is there."""
    return Result(facts={"tag": tag, "content": content, "bytes": tools.engine.image_bytes(tag)})


class Image:
    """What all image jobs share: the image is there when the engine knows its tag."""

    @property
    def needs(self) -> tuple[str, ...]:
        raise NotImplementedError

    def reads(self, inputs: Mapping[str, Evidence]) -> Mapping[str, object]:
        return {need: inputs[need].facts["content"] for need in self.needs}

    def present(self, evidence: Evidence, engine: Engine) -> bool:
        return "tag" not in evidence.facts or engine.image_labels(evidence.facts["tag"]) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage(Image):
    """A plain release of Debian or Ubuntu."""

    base: catalog.Base
    distribution: catalog.Distribution

    @property
    def id(self) -> str:
        return f"image:{self.base.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    def settings(self) -> Mapping[str, object]:
        row = self.base.model_dump(exclude={"enabled", "runtime", "sanitizer"})
        return {"base": row, "distribution": self.distribution.model_dump()}

    def key(self, inputs: Mapping[str, Evidence]) -> str:  # noqa: ARG002 - a base stands on nothing
        return digest("base", *self.settings().values())

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        tag = tag_of(self.base.name, self.key(inputs))
        if tools.engine.image_labels(tag) is None:
            self._obtain(tag, tools)
        return facts(tag, digest("base", _installed(tag, tools)), tools)

    def _obtain(self, tag: str, tools: Tools) -> None:
        """Take the base from the registry or, where none answers, from the distribution's archive."""
        tools.say(f"asking the container registry for {self.base.registry}")
        try:
            tools.engine.pull(self.base.registry, tag)
        except CannotTellError as no_registry:
            tools.say(f"no registry: bootstrapping {self.base.suite} from its signed archive")
            try:
                self._bootstrap(tag, tools)
            except CannotTellError as no_archive:
                reason = f"base {self.base.name} could not be had: {no_archive}; {no_registry}"
                raise CannotTellError(reason, code="WF901") from None

    def _bootstrap(self, tag: str, tools: Tools) -> None:
        with tools.store.scratch() as scratch:
            root = scratch / "root.tar"
            bootstrap.make_root(self.base, self.distribution, root, log=tools.log, stop=tools.stop, say=tools.say)
            tools.engine.import_root(root, tag)


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpretersImage(Image):
    """Every interpreter, compiled once, under /opt/python."""

    base: str
    abis: tuple[catalog.Abi, ...]
    releases: Mapping[str, catalog.Release]

    @property
    def id(self) -> str:
        return _INTERPRETERS

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:{self.base}",)

    def settings(self) -> Mapping[str, object]:
        builds = [(abi.directory, abi.configure, self.releases[abi.release].sha256) for abi in self.abis]
        return {"interpreter": builds, "recipe": [recipe("interpreters.Dockerfile"), recipe("build-interpreter.sh")]}

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest("interpreters", *self.settings().values(), inputs[self.needs[0]].facts["content"])

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = tag_of("interpreters", key)
        if tools.engine.image_labels(tag) is None:
            self._compile(tag, inputs[self.needs[0]].facts["tag"], tools)
        return facts(tag, key, tools)

    def _compile(self, tag: str, base_tag: str, tools: Tools) -> None:
        sources = {abi.release: cpython.fetch(self.releases[abi.release], tools.say) for abi in self.abis}
        lines = (" ".join((abi.release, abi.directory, *abi.configure)) for abi in self.abis)
        failure = build(
            tag,
            "interpreters.Dockerfile",
            ("build-interpreter.sh",),
            {"BASE": base_tag, "INTERPRETERS": "\n".join(lines)},
            tools,
            extra={f"sources/{release}.tar.xz": path for release, path in sources.items()},
        )
        if failure:
            raise CannotTellError(f"the interpreters did not build: {failure} (log: {tools.log})")


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonImage(Image):
    """A base with the interpreters: the builder (`role` builder) or the verification image (`role` verify)."""

    role: str
    base: catalog.Base

    @property
    def id(self) -> str:
        return f"image:{self.role}-{self.base.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:{self.base.name}", _INTERPRETERS)

    @property
    def _files(self) -> tuple[str, ...]:
        shared = ("limits.sh", f"{self.role}-tools.txt")
        return (*shared, "install-tools.sh", "compiler.sh") if self.role == "builder" else shared

    def settings(self) -> Mapping[str, object]:
        recipes = [recipe(name) for name in (f"{self.role}.Dockerfile", *self._files)]
        return {"recipe": recipes, "runtime packages": self.base.runtime}

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest(self.role, *self.settings().values(), [inputs[need].facts["content"] for need in self.needs])

    def present(self, evidence: Evidence, engine: Engine) -> bool:
        labels = engine.image_labels(evidence.facts["tag"])
        return labels is not None and labels.get(_CA_LABEL) == _ca_digest()

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = tag_of(f"{self.role}-{self.base.name}", key)
        labels = tools.engine.image_labels(tag)
        if labels is None or labels.get(_CA_LABEL) != _ca_digest():
            self._assemble(tag, inputs, tools)
        return facts(tag, digest(key, _installed(tag, tools)), tools)

    def _assemble(self, tag: str, inputs: Mapping[str, Evidence], tools: Tools) -> None:
        base, interpreters = (inputs[need].facts["tag"] for need in self.needs)
        arguments = {
            "BASE": base,
            "INTERPRETERS_IMAGE": interpreters,
            "RUNTIME": " ".join(self.base.runtime),
            "HOST_ENVIRONMENT": host.container_assignments(),
        }
        bundle = {"ca-certificates.crt": host.ca_bundle()}
        if failure := build(tag, f"{self.role}.Dockerfile", self._files, arguments, tools, extra=bundle):
            raise CannotTellError(
                f"the {self.role} image of {self.base.name} did not build: {failure} (log: {tools.log})"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceInterpreter(Image):
    """The free-threaded interpreter compiled with ThreadSanitizer."""

    base: catalog.Base
    abi: catalog.Abi
    release: catalog.Release

    @property
    def id(self) -> str:
        return _RACE_INTERPRETER

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:{self.base.name}",)

    def settings(self) -> Mapping[str, object]:
        built = (self.abi.configure, self.release.sha256, self.base.sanitizer)
        recipes = [recipe("race-interpreter.Dockerfile"), recipe("build-race-interpreter.sh")]
        return {"interpreter": built, "recipe": recipes}

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest("race-interpreter", *self.settings().values(), inputs[self.needs[0]].facts["content"])

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = tag_of("race-interpreter", key)
        if tools.engine.image_labels(tag) is None:
            arguments = {
                "BASE": inputs[self.needs[0]].facts["tag"],
                "COMPILER": " ".join(self.base.sanitizer),
                "OPTIONS": " ".join(self.abi.configure),
            }
            source = {"source.tar.xz": cpython.fetch(self.release, tools.say)}
            recipe = "race-interpreter.Dockerfile"
            if failure := build(tag, recipe, ("build-race-interpreter.sh",), arguments, tools, extra=source):
                raise CannotTellError(
                    f"the interpreter with ThreadSanitizer did not build: {failure} (log: {tools.log})"
                )
        return facts(tag, key, tools)


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceImage(Image):
    """A builder with the sanitizer's compiler and interpreter, and the canaries every search for races begins with."""

    base: catalog.Base
    abi: catalog.Abi

    @property
    def id(self) -> str:
        return f"image:race-{self.base.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:builder-{self.base.name}", _RACE_INTERPRETER)

    def settings(self) -> Mapping[str, object]:
        recipes = [recipe(name) for name in ("race.Dockerfile", *_RACE_FILES)]
        return {"recipe": recipes, "sanitizer": self.base.sanitizer, "ABIs": self.abi.directory}

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest("race", *self.settings().values(), [inputs[need].facts["content"] for need in self.needs])

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = tag_of(f"race-{self.base.name}", key)
        if tools.engine.image_labels(tag) is None:
            builder, interpreter = (inputs[need].facts["tag"] for need in self.needs)
            arguments = {
                "BUILDER": builder,
                "RACE_INTERPRETER": interpreter,
                "COMPILER": " ".join(self.base.sanitizer),
                "PLAIN": self.abi.directory,
            }
            if failure := build(tag, "race.Dockerfile", _RACE_FILES, arguments, tools):
                raise CannotTellError(f"the race detector's image did not build: {failure} (log: {tools.log})")
        return facts(tag, digest(key, _installed(tag, tools)), tools)


def packages_id(base: str, packages: tuple[str, ...], role: str = "builder") -> str:
    """Return the id of the image job for an image with system packages; without any, the image's own.

    Args:
        base: the base.
        packages: system packages.
        role: `builder` or `race`.
    """
    return f"image:{role}-{base}" + (f"+{digest(packages)[:8]}" if packages else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class PackagesImage(Image):
    """A builder or race detector with the system packages some package asks for: all that ask the same share it."""

    base: str
    packages: tuple[str, ...]
    role: str = "builder"

    @property
    def id(self) -> str:
        return packages_id(self.base, self.packages, self.role)

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:{self.role}-{self.base}",)

    def settings(self) -> Mapping[str, object]:
        return {"recipe": recipe("packages.Dockerfile"), "apt list": self.packages}

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest("packages", *self.settings().values(), inputs[self.needs[0]].facts["content"])

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = tag_of(f"{self.role}-{self.base}", key)
        if tools.engine.image_labels(tag) is None:
            arguments = {"BUILDER": inputs[self.needs[0]].facts["tag"], "PACKAGES": " ".join(self.packages)}
            if failure := build(tag, "packages.Dockerfile", (), arguments, tools):
                return self._without_image(failure, tools)
        return facts(tag, digest(key, _installed(tag, tools)), tools)

    def _without_image(self, failure: str, tools: Tools) -> Result:
        """Tell a name the base does not have, which is the matrix's affair, from an archive that did not answer."""
        text = tools.log.read_text(errors="replace")
        missing = re.findall(r"E: (?:Unable to locate package|Package '?)\s*([a-z0-9+.-]+)", text)
        if not missing:
            raise CannotTellError(
                f"system packages could not be installed on {self.base}: {failure} (log: {tools.log})"
            )
        return Result(facts={"missing": sorted(set(missing)), "content": "none"})
