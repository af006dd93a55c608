"""The archive as an RO-Crate 1.1 that conforms to the Workflow Run profile.

https://w3id.org/ro/crate/1.1 and https://w3id.org/ro/wfrun/workflow/0.5: the Snakefile is the main
workflow, the resolved config its input, and one CreateAction the run that made every result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from w2dual import __version__

VERSION = "1.1"
METADATA = "ro-crate-metadata.json"
WORKFLOW = "Snakefile"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
LICENCE = "https://spdx.org/licenses/MIT"
# As in the profile's own context, https://w3id.org/ro/terms/workflow-run.
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
FORMATS = {
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".tex": "application/x-tex",
    ".tsv": "text/tab-separated-values",
    ".yaml": "application/yaml",
}
PAPER = "https://openreview.net/forum?id=TQ5WUwS_4ai"


@dataclass(frozen=True)
class File:
    """A file of the archive: size in bytes and SHA-256 in hex; neither where it lists the others.

    Attributes:
        result: whether the run made it.
    """

    size: int | None
    sha256: str | None
    result: bool


@dataclass(frozen=True)
class Run:
    """What the crate says about the run; times are ISO 8601.

    Attributes:
        title: of the archive.
        description: in a sentence.
        commit: of the source.
        config: path of the resolved config.
        started, ended: of the first and the last job.
    """

    title: str
    description: str
    commit: str
    config: str
    started: str
    ended: str


def metadata(files: Mapping[str, File], run: Run) -> str:
    """Return the text of ro-crate-metadata.json; the same arguments give the same text.

    Args:
        files: every file of the archive by its path, the crate's own metadata excepted.
        run: what made them.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.model.file import File as CrateFile
    from rocrate.rocrate import ROCrate

    crate = ROCrate(gen_preview=False, version=VERSION)
    crate.metadata.extra_terms.update(TERMS)
    crate.name, crate.description = run.title, run.description
    crate.root_dataset["datePublished"] = run.ended
    crate.root_dataset["version"] = __version__
    licence = crate.add(
        ContextEntity(crate, LICENCE, properties={"@type": "CreativeWork", "name": "MIT License"})
    )
    crate.root_dataset["license"] = licence
    for address, (name, version) in PROFILES.items():
        crate.add(
            ContextEntity(
                crate,
                address,
                properties={"@type": "CreativeWork", "name": name, "version": version},
            )
        )
    authors = crate.add(
        ContextEntity(
            crate,
            "#authors",
            properties={"@type": "Organization", "name": "The w2dual authors"},
        )
    )
    paper = crate.add(
        ContextEntity(
            crate,
            PAPER,
            properties={
                "@type": "ScholarlyArticle",
                "name": "On amortizing convex conjugates for optimal transport",
            },
        )
    )
    crate.root_dataset["citation"] = paper
    crate.root_dataset["author"] = authors
    crate.root_dataset["publisher"] = authors
    workflow: Any = crate.add_workflow(
        dest_path=WORKFLOW,
        main=True,
        lang="snakemake",
        properties=_described(WORKFLOW, files) | {"name": "w2dual", "version": run.commit},
    )
    # `main` enters a profile of its own; all of them are set here.
    crate.root_dataset["conformsTo"] = [{"@id": address} for address in PROFILES]
    workflow["license"], workflow["creator"] = licence, authors
    parts: dict[str, Any] = {WORKFLOW: workflow}
    for name in sorted(files):
        if name != WORKFLOW:
            parts[name] = crate.add(
                CrateFile(crate, dest_path=name, properties=_described(name, files))
            )
    parameter = crate.add(
        ContextEntity(
            crate,
            "#config",
            properties={
                "@type": "FormalParameter",
                "additionalType": "File",
                "name": "config",
                "description": "grids, hyperparameters and budget, as resolved from all files",
                "conformsTo": {
                    "@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
                },
                "workExample": {"@id": run.config},
            },
        )
    )
    parts[run.config]["exampleOfWork"] = parameter
    workflow["input"] = [parameter]
    action: Any = crate.add_action(
        workflow,
        identifier="#run",
        object=[parts[run.config]],
        result=[parts[name] for name, file in sorted(files.items()) if file.result],
        properties={
            "name": f"The run of {run.title}",
            "startTime": run.started,
            "endTime": run.ended,
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    action["agent"] = authors
    crate.root_dataset["mentions"] = [action]
    record = crate.metadata.generate()
    record["@graph"].sort(key=lambda entity: entity["@id"])
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _described(name: str, files: Mapping[str, File]) -> dict[str, Any]:
    file = files[name]
    known: dict[str, Any] = {"name": name}
    if file.sha256 is not None:
        known |= {"contentSize": str(file.size), "sha256": file.sha256}
    ending = "." + name.rpartition(".")[2]
    if ending in FORMATS:
        known["encodingFormat"] = FORMATS[ending]
    return known


def problems(text: str, hashes: Mapping[str, str], others: Iterable[str]) -> list[str]:
    """Say what is wrong with a crate, a line each; nothing for one as `metadata` writes it.

    Args:
        text: of ro-crate-metadata.json.
        hashes: SHA-256 of every file but those in `others`, by path.
        others: files that the crate lists without a hash.
    """
    try:
        record = json.loads(text)
        entities = {entity["@id"]: entity for entity in record["@graph"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return [f"{METADATA}: is not RO-Crate metadata: {error!r}"]
    if len(entities) != len(record["@graph"]):
        return [f"{METADATA}: duplicate entity"]
    descriptor, root = entities.get(METADATA), entities.get("./")
    if not descriptor or not root:
        return [f"{METADATA}: lacks the entity {METADATA} or ./"]
    found = []
    wanted = f"https://w3id.org/ro/crate/{VERSION}"
    if wanted not in _references(descriptor.get("conformsTo")):
        found.append(f"{METADATA}: does not say that it conforms to {wanted}")
    for address in PROFILES.keys() - set(_references(root.get("conformsTo"))):
        found.append(f"{METADATA}: does not say that it conforms to {address}")
    if _references(root.get("mainEntity")) != [WORKFLOW]:
        found.append(f"{METADATA}: its main entity is not {WORKFLOW}")
    listed = set(_references(root.get("hasPart")))
    expected = hashes.keys() | set(others)
    found += [f"{name}: is not part of the crate" for name in sorted(expected - listed)]
    found += [f"{METADATA}: lists {name}, which is not there" for name in sorted(listed - expected)]
    for name in sorted(listed & hashes.keys()):
        said = entities.get(name, {}).get("sha256")
        if said != hashes[name]:
            found.append(f"{name}: the crate gives it another SHA-256 ({said})")
    return found


def _references(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item["@id"] for item in items if isinstance(item, dict) and "@id" in item]
