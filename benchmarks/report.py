"""How long index and report take for thousands of packages, and how soon the overview can be used in a browser.

Usage: python -m benchmarks.report OUTPUT.json [PACKAGES]

Each package has four wheels: two ABIs, built on two bases. The index is made from nothing, and again after one verdict
changed. Times are wall times; `_cpu_s` is what the program itself used, for a machine that is busy with other things.
Chromium and its driver are needed for the last part.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from builder.config.matrix import Matrix
from builder.farm import publishing
from builder.judge.bases import BaseOutcome
from builder.judge.findings import Finding
from builder.judge.package import JudgedPackage, Judgement, Wheel
from builder.judge.speed import Ratio, Speed
from builder.judge.threads.coverage import ThreadCoverage
from builder.report import outputs
from builder.report.documents import verdicts_json
from builder.sources import Source
from builder.store.store import Store
from builder.verdicts import Verdict

BASES = ("debian-12", "debian-13", "ubuntu-24.04")
BUILT_ON = ("debian-12", "ubuntu-24.04")
FLOORS = ("manylinux_2_17", "manylinux_2_38")
ABIS = ("cp314", "cp314t")
VERDICTS = (
    Verdict.COMPATIBLE,
    Verdict.UNPROVEN,
    Verdict.GIL_REQUIRED,
    Verdict.RACY,
    Verdict.IMPORT_FAILURE,
    Verdict.COMPATIBLE,
)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
)
PACKAGES = 2000
CHANGED = 7
# The page can be used once its script has run; then a filter is typed and the next frame is awaited.
USABLE = (
    "const one = performance.getEntriesByType('navigation')[0]; "
    "return one.domContentLoadedEventEnd - one.startTime"
)
FILTER = """
const done = arguments[0], field = document.getElementById("name"), began = performance.now();
field.value = "package-1"; field.dispatchEvent(new Event("input"));
requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
"""


def main() -> None:
    output, count = Path(sys.argv[1]), int((*sys.argv, str(PACKAGES))[2])
    found: dict[str, float] = {"packages": count, "wheels": 4 * count}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "wheelhouse")
        matrix = Matrix()
        for name in ("first", "second"):
            judged = [
                package(number, store, worse=name == "second" and number == CHANGED)
                for number in range(count)
            ]
            run = store.publications.begin_run()
            with timed(f"{name}_index", found):
                publishing.publish(publishing.close(judged, matrix), matrix, store)
            with timed(f"{name}_report", found):
                outputs.write_report(
                    verdicts_json.write(judged, matrix, store.wheelhouse), store, run
                )
            store.publications.end_run(run, "done")
        overview = store.wheelhouse / "report" / "index.html"
        found["overview_bytes"] = overview.stat().st_size
        found |= opened(overview)
        store.close()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


@contextmanager
def timed(name: str, found: dict[str, float]) -> Iterator[None]:
    began, used = time.monotonic(), time.process_time()
    yield
    found[f"{name}_s"] = round(time.monotonic() - began, 2)
    found[f"{name}_cpu_s"] = round(time.process_time() - used, 2)


def package(number: int, store: Store, *, worse: bool) -> JudgedPackage:
    name = f"package-{number}"
    source = Source(
        name=name, version="1.0", kind="index", filename=f"{name}-1.0.tar.gz", sha256="0" * 64
    )
    abis = {}
    for place, abi in enumerate(ABIS):
        verdict = Verdict.THREAD_UNSAFE if worse else VERDICTS[(number + place) % len(VERDICTS)]
        finding = Finding(
            code="WF402", detail=f"importing {name} fails", where=name, bases=BASES[:1]
        )
        abis[abi] = Judgement(
            abi=abi,
            verdict=verdict,
            reason=f"built as {', '.join(FLOORS)}, imports on {', '.join(BASES)}, GIL stays off",
            wheels=tuple(wheels(name, abi, store)),
            findings=(finding,) * (verdict is not Verdict.COMPATIBLE),
            loaded_on=BASES,
            base_outcomes=dict.fromkeys(
                BASES,
                BaseOutcome.FAILS if verdict is Verdict.IMPORT_FAILURE else BaseOutcome.IMPORTS,
            ),
            coverage=ThreadCoverage(callables=40, under_threads=30, detector=True),
        )
    ratio = Ratio(low=0.7, median=0.9, high=1.1)
    threads = dict.fromkeys((1, 2, 4), ratio)
    speed = Speed(calls=8, tried=9, cpus=2, baseline=ABIS[0], throughput=dict.fromkeys(ABIS, threads),
                  machine={1: 1.0, 2: 2.0, 4: 2.0}, cost=ratio, plain_cost=1.1)  # fmt: skip
    return JudgedPackage(name=name, version="1.0", source=source, abis=abis, speed=speed)


def wheels(name: str, abi: str, store: Store) -> Iterator[Wheel]:
    for base, floor in zip(BUILT_ON, FLOORS, strict=True):
        filename = f"{name.replace('-', '_')}-1.0-cp314-{abi}-{floor}_x86_64.whl"
        path = store.wheelhouse / filename
        with zipfile.ZipFile(path, "w") as archive:
            text = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nRequires-Python: >=3.9\n\n{filename}\n"
            archive.writestr(
                zipfile.ZipInfo(f"{name.replace('-', '_')}-1.0.dist-info/METADATA"), text
            )
        sha256 = store.add_file(path)
        path.unlink(missing_ok=True)
        yield Wheel(
            filename=filename,
            base=base,
            sha256=sha256,
            floor=floor,
            requires_python=">=3.9",
            log="logs/build.log",
        )


def opened(page: Path) -> dict[str, float]:
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(programs):
        print("no Chromium here: how soon the overview can be used was not measured")
        return {}
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    for argument in QUIET:
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(str(programs[1])))
    try:
        usable, filtered = [], []
        for _ in range(5):
            browser.get(page.as_uri())
            usable.append(browser.execute_script(USABLE) / 1000)
            filtered.append(browser.execute_async_script(FILTER) / 1000)
    finally:
        browser.quit()
    return {
        "usable_s": round(sorted(usable)[2], 3), "usable_worst_s": round(max(usable), 3),
        "filtered_s": round(sorted(filtered)[2], 3), "filtered_worst_s": round(max(filtered), 3),
    }  # fmt: skip


if __name__ == "__main__":
    main()
