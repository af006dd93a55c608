"""The configuration: reading, merging and checking it. Imports neither JAX nor pandas."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from w2dual.config import kinds, strict_yaml
from w2dual.config.cells import DUAL, encoding_of
from w2dual.config.rows import Row, check_known, check_methods, methods, resolve
from w2dual.records import InputError

Config = dict[str, Any]

SCHEMA = Path(__file__).parent / "schema.yaml"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Config:
    """Merge as Snakemake does: mappings merge key by key, anything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def load(paths: Iterable[str | Path]) -> Config:
    """Read config files in order, each merged over the ones before, and check the result.

    Raises:
        InputError: a file cannot be read, or the merged config is not valid.
    """
    config = read(paths)
    validate(config)
    return config


def read(paths: Iterable[str | Path]) -> Config:
    """Read config files in order, each merged over the ones before, without checking the result.

    Raises:
        InputError: a file cannot be read, or a value in it means something else than what is
            written.
    """
    config: Config = {}
    for path in paths:
        config = merge(config, strict_yaml.load(path))
    return config


def validate(config: Config) -> None:
    """Check the config against the schema, and what a schema cannot say.

    Raises:
        InputError: naming the key, the value and what would be right.
    """
    schema = _schema()
    _check_schema(config, schema, ())
    for section, known in schema["$defs"]["kinds"].items():
        for name, settings in config.get(section, {}).items():
            kind = settings["kind"]
            if kind in known:
                checked = {"$defs": schema["$defs"], **known[kind]}
                _check_schema(settings, checked, (section, name))
            else:
                kinds.check(section, f"{section}.{name}", kind)
    check_methods(config)
    _check_grids(config)
    _check_lagrangian(config)
    _check_metric_recovery(config)
    _check_measures(config)
    _check_images(config)
    _check_discrete(config)
    _check_color(config)
    _check_numbers(config)
    _check_conjugation(config)


@cache
def _schema() -> dict[str, Any]:
    """Return our own schema; a test reads it strictly, and this takes a fifth of the time."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(SCHEMA.read_text("utf-8"), loader)  # noqa: S506 (both are safe)


@cache
def _validator() -> Any:
    """Return the class of our validators; to make it takes as long as to check a section."""
    from jsonschema import Draft202012Validator, validators

    # JSON schema takes 1000.0 for an integer, on which counts fail later, and has no infinity.
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": lambda _, item: _is_integer(item), "number": lambda _, item: _is_number(item)}
    )
    return validators.extend(Draft202012Validator, {"pattern": _pattern}, type_checker=types)


def _check_schema(value: Any, schema: dict[str, Any], prefix: tuple[str, ...]) -> None:
    # Keys such as dimensions are integers in YAML; JSON schema knows text keys alone.
    errors = _validator()(schema).iter_errors(_text_keys(value))
    messages = {_explain(error, prefix) for error in errors}
    if messages:
        raise InputError("\n".join(sorted(messages)))


def _pattern(validator: Any, pattern: str, value: Any, _: Any) -> Iterator[Any]:
    """Match as JSON schema does: in Python `$` is also before a newline at the end."""
    from jsonschema import ValidationError

    if validator.is_type(value, "string") and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _text_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        texts = {str(key): _text_keys(item) for key, item in value.items()}
        if len(texts) < len(value):
            both = next(key for key in value if not isinstance(key, str) and str(key) in value)
            raise InputError(
                f'config: {both} is a key as a number and as "{both}" in quotes, in two files of '
                "which one would hide the other; leave out the quotes"
            )
        return texts
    if isinstance(value, list):
        return [_text_keys(item) for item in value]
    return value


def _explain(error: Any, prefix: tuple[str, ...]) -> str:
    where = ".".join(map(str, (*prefix, *error.absolute_path))) or "(top level)"
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = _known_keys(error.schema)
        unknown = [key for key in error.instance if key not in known]
        hints = []
        for key in unknown:
            close = difflib.get_close_matches(key, known, n=1)
            meant = f" (did you mean `{close[0]}`?)" if close else ""
            full = key if where == "(top level)" else f"{where}.{key}"
            hints.append(f"config key `{full}` is not known{meant}; known here: {', '.join(known)}")
        return "\n".join(hints)
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return f"config key `{where}` lacks {', '.join(f'`{key}`' for key in missing)}"
    expected = error.schema.get("description", "")
    message = f"config key `{where}`: {error.message}" + (
        f"; expected {expected}" if expected else ""
    )
    if isinstance(error.instance, str) and re.fullmatch(r"[0-9.]+[eE][+-]?[0-9]+", error.instance):
        message += f" (YAML reads {error.instance} as text; write it like 1.0e-3 or 1.0e+5)"
    return message


def _known_keys(schema: Mapping[str, Any]) -> list[str]:
    """Return the keys that a mapping may have, also by `$ref`: those that it needs come first."""
    found = list(schema.get("properties", {}))
    if "$ref" not in schema:
        return found
    found += _known_keys(_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
    needed = [key for key in schema.get("required", ()) if key in found]
    return needed + [key for key in found if key not in needed]


def _check_grids(config: Config) -> None:
    there = _names("hdN", _check_rows(config, "hd", config["hd"]))
    of_images = _names("celeba64_N", _check_rows(config, "celeba64", config["celeba64"]))
    own = _names("hdN", _check_rows(config, "baselines", config["baselines"]))
    if twice := [name for name in own if name in there]:
        raise InputError(
            f"config key `baselines.methods`: `hd.methods` has cells of the same names, "
            f"{', '.join(twice)}; leave out one of each two"
        )
    named = _check_rows(config, "celeba64_baselines", config["celeba64_baselines"])
    if twice := [name for name in _names("celeba64_N", named) if name in of_images]:
        raise InputError(
            f"config key `celeba64_baselines.methods`: `celeba64.methods` has cells of the same "
            f"names, {', '.join(twice)}; leave out one of each two"
        )
    seen: dict[str, int] = {}
    drawn: set[tuple[str, str]] = set()
    for index, part in enumerate(config["synthetic"]["grids"]):
        where = f"synthetic.grids.{index}"
        found = _check_rows(config, where, part)
        for pair in part["pairs"]:
            check_known(config["measures"], f"{where}.pairs", pair, "synthetic", "measures.")
            for cell in _names(pair, found):
                if seen.setdefault(cell, index) != index:
                    raise InputError(
                        f"config key `{where}`: the cell {cell} is already in "
                        f"`synthetic.grids.{seen[cell]}`"
                    )
            drawn |= {(pair, name) for row in found if row.conjugates for name in row.potentials}
    for name, figure in config["synthetic"]["figures"].items():
        for pair in figure["pairs"] if figure else ():
            if (pair, figure["potential"]) not in drawn:
                raise InputError(
                    f"config key `synthetic.figures.{name}`: no grid of `synthetic.grids` has a "
                    f"cell of the pair `{pair}` with the potential `{figure['potential']}` that "
                    f"the method `{DUAL}` trains, not `reversed`"
                )


def _check_lagrangian(config: Config) -> None:
    """Check the settings of Lagrangian costs, and that the methods of their rows take them."""
    section, known = config["lagrangian"], _schema()["$defs"]["kinds"]["obstacles"]
    check_known(config["measures"], "lagrangian.pair", section["pair"], "synthetic", "measures.")
    for name, settings in section["settings"].items():
        if settings is None:
            continue
        where, obstacle = f"lagrangian.settings.{name}.obstacle", settings["obstacle"]
        if obstacle["kind"] in known:
            schema = {"$defs": _schema()["$defs"], **known[obstacle["kind"]]}
            _check_schema(obstacle, schema, tuple(where.split(".")))
        else:
            kinds.check("obstacles", where, obstacle["kind"])
    for row in _check_rows(config, "lagrangian", section):
        cost = config["methods"].get(row.method, {}).get("cost")
        if not row.method or cost not in (None, "action"):
            raise InputError(
                f"config key `lagrangian.methods`: the method `{row.amortization}` has the cost "
                f"{cost!r}; expected one of `methods` whose `cost` is `action`"
            )
        if len(row.potentials) != 1:
            raise InputError(
                f"config key `methods.{row.method}` lacks `potential`, which a row of `lagrangian` "
                "needs"
            )


def _check_metric_recovery(config: Config) -> None:
    """Check the sets whose metrics are recovered, and that each method of a row learns one."""
    section, measures = config["metric_recovery"], config["measures"]
    for key in ("sets", "weights"):
        for name in section[key]:
            check_known(measures, f"metric_recovery.{key}", name, "snapshots", "measures.")
    for name, settings in measures["snapshots"].items():
        where = f"config key `measures.snapshots.{name}"
        if name in measures["synthetic"]:
            raise InputError(f"{where}`: `measures.synthetic` has the same name; take another")
        if not all(low < high for low, high in settings["bounds"]):
            raise InputError(
                f"{where}.bounds`: {settings['bounds']} hold no rectangle; expected "
                "[[low, high], [low, high]]"
            )
    for row in _check_rows(config, "metric_recovery", section):
        if not row.method or len(row.potentials) != 1:
            raise InputError(
                f"config key `metric_recovery.methods`: {row.amortization} names no potential of "
                "its own; expected one of `methods` that does, such as `metric_recovery`"
            )


def _names(pair: str, found: Iterable[Row]) -> list[str]:
    """Return the names that the cells of rows have on a pair."""
    return [row.cell_name(pair, potential) for row in found for potential in row.potentials]


def _check_rows(config: Config, section: str, grid: Mapping[str, Any]) -> list[Row]:
    for potential in grid.get("potentials", ()):
        check_known(config, f"{section}.potentials", potential, "potentials")
    named = [
        (f"{section}.{part}.{index}", entry)
        for part in ("methods", "more_methods")
        for index, entry in enumerate(grid.get(part, []))
    ]
    found: dict[tuple[str, str], Row] = {}
    for key, entry in named:
        row = resolve(config, grid, entry, key)
        where = f"config key `{key}`"
        if row.kind == DUAL:
            _check_dual(config, where, row.parts)
        _check_budget(config, section.partition(".")[0], row.method)
        label = (row.amortization, row.solver)
        if label in found:
            raise InputError(f"{where}: duplicate method {label[0]} + {label[1]}")
        found[label] = row
    return list(found.values())


def _check_budget(config: Config, section: str, method: str) -> None:
    """Check that what a method sets of its budget is what its grid's is made of."""
    grid, entry = config[section], config["methods"][method] if method else {}
    widths = "hidden" in grid["training"] or any("hidden" in part for part in grid.get("grids", []))
    if "hidden" in entry.get("training", {}) and not widths:
        raise InputError(
            f"config key `methods.{method}.training.hidden`: the networks of `{section}` have no "
            "hidden widths to set; leave it out"
        )
    known = grid.get("pretraining", {})
    if other := [key for key in entry.get("pretraining", {}) if key not in known]:
        raise InputError(
            f"config key `methods.{method}.pretraining.{other[0]}`: `{section}.pretraining`, which "
            f"it would change, has no such key; it has {', '.join(known)}"
        )


def _check_dual(config: Config, where: str, parts: Mapping[str, str]) -> None:
    amortization = config["amortizations"][parts["amortization"]]["kind"]
    solver = config["solvers"][parts["solver"]]["kind"]
    if amortization == "regression" and solver == "none":
        raise InputError(
            f"{where}: a regression loss needs a conjugate solver to regress on; "
            "give `solver`, or take objective or cycle"
        )
    if amortization == "none" and solver == "none":
        raise InputError(
            f"{where}: with neither an amortization loss nor a solver nothing computes the "
            "conjugate; give one of them"
        )


def _check_conjugation(config: Config) -> None:
    study = config["conjugation"]
    check_known(
        config, "conjugation.method.amortization", study["method"]["amortization"], "amortizations"
    )
    check_known(config, "conjugation.method.solver", study["method"]["solver"], "solvers")
    check_known(
        config, "conjugation.line_search.potential", study["line_search"]["potential"], "potentials"
    )
    for name in ("lbfgs", "adam"):
        check_known(config, f"conjugation.{name}", study[name], "solvers")
        kind = config["solvers"][study[name]]["kind"]
        if kind != name:
            raise InputError(
                f"config key `conjugation.{name}`: solver `{study[name]}` is of kind `{kind}`; "
                f"expected one of kind `{name}`"
            )
    samples = config["hd"]["evaluation"]["samples"]
    if study["points"] > samples:
        raise InputError(
            f"config key `conjugation.points`: {study['points']} is more than "
            f"`hd.evaluation.samples` = {samples}"
        )
    images = config["celeba64"]["evaluation"]["history_samples"]
    if study["points"] > images and config["celeba64"]["generators"]:
        raise InputError(
            f"config key `conjugation.points`: {study['points']} is more than "
            f"`celeba64.evaluation.history_samples` = {images}"
        )


def _check_measures(config: Config) -> None:
    for name, settings in config["measures"]["synthetic"].items():
        kinds.check("measures.synthetic", f"measures.synthetic.{name}", settings["kind"])
    benchmark = config["measures"]["benchmark"]
    published = benchmark["published_dimensions"]
    for name, dimension in _dimensions(config):
        if dimension not in published and "generated" not in benchmark["sources"]:
            raise InputError(
                f"config key `{name}.dimensions`: the benchmark has no weights for n = {dimension} "
                f"(it has {', '.join(map(str, published))}); take one of these, or add `generated` "
                "to `measures.benchmark.sources` to train a new pair"
            )
    if not config["preset"]["reduced"]:
        admitted = [n for n in config["hd"]["dimensions"] if n in published]
        if admitted and "generated" in benchmark["sources"]:
            raise InputError(
                "config key `measures.benchmark.sources`: a preset at full budget "
                "(`preset.reduced: false`) admits no `generated` pair for the published "
                f"dimensions {admitted}; take `generated` out, or mark the preset as reduced"
            )


def _dimensions(config: Config) -> list[tuple[str, int]]:
    """Return the benchmark's dimensions that there are cells of, each with its section."""
    sections = [name for name in ("hd", "baselines") if methods(config[name])]
    return [(name, n) for name in sections for n in config[name]["dimensions"]]


def _check_images(config: Config) -> None:
    sources = config["measures"]["celeba64"]["sources"]
    size, section = config["measures"]["celeba64"]["generated"]["size"], config["celeba64"]
    if section["generators"] and "generated" in sources and section["dimension"] != 3 * size**2:
        raise InputError(
            f"config key `celeba64.dimension`: {section['dimension']} is not that of the images "
            f"that `measures.celeba64` may generate, {3 * size**2} numbers of {size} x {size} "
            "pixels in 3 colours; change one of them"
        )
    if not config["preset"]["reduced"] and "generated" in sources:
        raise InputError(
            "config key `measures.celeba64.sources`: a preset at full budget "
            "(`preset.reduced: false`) admits no `generated` pair of images; take `generated` "
            "out, or mark the preset as reduced"
        )


def _check_discrete(config: Config) -> None:
    section, laws = config["meta_sinkhorn"], config["measures"]["discrete"]
    if clash := [name for name in laws if name in config["measures"]["synthetic"]]:
        raise InputError(
            f"config key `measures.discrete.{clash[0]}`: `measures.synthetic` has the same name"
        )
    for index, entry in enumerate(section["methods"]):
        where = f"meta_sinkhorn.methods.{index}.method"
        check_known(config, where, entry["method"], "methods")
        kind = config["methods"][entry["method"]]["kind"]
        if kind != META_DUAL:
            raise InputError(
                f"config key `{where}`: `methods.{entry['method']}` is of the kind `{kind}`; "
                f"expected one of the kind `{META_DUAL}`, which predicts dual potentials"
            )
    _check_rows(config, "meta_sinkhorn", section)
    study = section["study"]
    for task in section["tasks"]:
        check_known(config["measures"], "meta_sinkhorn.tasks", task, "discrete", "measures.")
        for key in ("pairs", "traced", "max_iterations"):
            check_known(study, f"meta_sinkhorn.study.{key}", task, key, "meta_sinkhorn.study.")
        for name in study["max_iterations"][task]:
            where = f"meta_sinkhorn.study.max_iterations.{task}"
            check_known(study, where, name, "finetuners", "meta_sinkhorn.study.")
    for name, given in study["finetuners"].items():
        if given["kind"] == "lbfgs":
            where = f"meta_sinkhorn.study.finetuners.{name}.solver"
            check_known(config, where, given["solver"], "solvers")
            kind = config["solvers"][given["solver"]]["kind"]
            if kind != "lbfgs":
                raise InputError(
                    f"config key `{where}`: solver `{given['solver']}` is of kind `{kind}`; "
                    "expected one of kind `lbfgs`"
                )
    for task in section["tasks"]:
        if study["shown"] > study["pairs"][task]:
            raise InputError(
                f"config key `meta_sinkhorn.study.shown`: {study['shown']} is more than "
                f"`meta_sinkhorn.study.pairs.{task}` = {study['pairs'][task]}"
            )
    for name, law in laws.items():
        if "packaged" in law["sources"] and not config["preset"]["reduced"]:
            raise InputError(
                f"config key `measures.discrete.{name}.sources`: a preset at full budget "
                "(`preset.reduced: false`) admits no `packaged` stand-in; take it out, or mark "
                "the preset as reduced"
            )


META_DUAL = "meta_dual"
"""The kind of method that `meta_sinkhorn` trains by."""


def discrete_tasks(config: Config) -> list[str]:
    """Return the tasks of Meta OT that there are data of: not one whose raster is not named.

    There are none without a method.
    """
    laws = config["measures"]["discrete"]
    if not config["meta_sinkhorn"]["methods"]:
        return []
    return [
        task
        for task in config["meta_sinkhorn"]["tasks"]
        if laws[task]["sources"] != ["folder"]
        or laws[task].get("folder", laws[task].get("raster")) is not None
    ]


def discrete_sizes(law: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many points the source and the target of a law over measures have."""
    if law["kind"] == "grid_images":
        return law["side"] ** 2, law["side"] ** 2
    return law["supply"], law["demand"]


def _check_color(config: Config) -> None:
    section, palettes = config["meta_color"], config["measures"]["palettes"]
    for index, entry in enumerate(section["methods"]):
        where = f"meta_color.methods.{index}.method"
        check_known(config, where, entry["method"], "methods")
        settings = config["methods"][entry["method"]]
        if "encoder" not in settings:
            raise InputError(
                f"config key `{where}`: `methods.{entry['method']}`, of the kind "
                f"`{settings['kind']}`, has no `encoder` of images; name one of `meta_w2gn`"
            )
        try:
            encoding_of(settings["encoder"])
        except InputError as error:
            raise InputError(f"config key `methods.{entry['method']}.encoder`: {error}") from error
    _check_rows(config, "meta_color", section)
    check_known(config, "meta_color.finetuning.solver", section["finetuning"]["solver"], "solvers")
    if config["solvers"][section["finetuning"]["solver"]]["kind"] == "none":
        raise InputError("config key `meta_color.finetuning.solver`: names no solver; take lbfgs")
    for key in ("samples", "history_samples"):
        if section["evaluation"][key] != palettes["test_points"]:
            raise InputError(
                f"config key `meta_color.evaluation.{key}`: {section['evaluation'][key]} is not "
                f"`measures.palettes.test_points` = {palettes['test_points']}, all of which count"
            )
    if section["finetuning"]["steps"] % section["finetuning"]["log_every"]:
        raise InputError(
            "config key `meta_color.finetuning.steps`: is not a multiple of `log_every`"
        )
    stand_ins = [name for name in palettes["sources"] if name != "folder"]
    if stand_ins and not config["preset"]["reduced"]:
        raise InputError(
            "config key `measures.palettes.sources`: a preset at full budget (`preset.reduced: "
            f"false`) admits no stand-in, {', '.join(stand_ins)}; take it out, or mark the preset "
            "as reduced"
        )


def color_encodings(config: Config) -> dict[str, str]:
    """Return the methods of colour transport, each with what it takes of an image.

    There are none where no images are: neither a folder of the user's nor a stand-in.
    """
    palettes = config["measures"]["palettes"]
    if palettes["sources"] == ["folder"] and palettes["folder"] is None:
        return {}
    names = [entry["method"] for entry in config["meta_color"]["methods"]]
    return {name: encoding_of(config["methods"][name]["encoder"]) for name in names}


def color_pair(encoding: str) -> str:
    """Return the name of the law over images whose points have an encoding."""
    return f"palettes_{encoding}"


def color_dimension(encoding: str, palettes: Mapping[str, Any]) -> int:
    """Return how many numbers an image is, as a point of that law (`measures.pairs.palettes`)."""
    encoded = palettes["bins"] ** 3 if encoding == "histogram" else 3 * palettes["side"] ** 2
    return 2 + encoded + 3 * palettes["points"]


def _check_numbers(config: Config) -> None:
    for name in (
        *("hd", "baselines", "synthetic", "celeba64", "celeba64_baselines"),
        *("meta_sinkhorn", "meta_color", "lagrangian", "metric_recovery"),
    ):
        pretraining, evaluation = config[name].get("pretraining", {}), config[name]["evaluation"]
        if pretraining.get("min_iterations", 0) > pretraining.get("iterations", 0):
            raise InputError(
                f"config key `{name}.pretraining.min_iterations`: is above "
                f"`{name}.pretraining.iterations`, so the tolerance could never be met"
            )
        every = config[name]["logging"]["every"]
        if evaluation["history_every"] % every:
            raise InputError(
                f"config key `{name}.evaluation.history_every`: {evaluation['history_every']} is "
                f"not a multiple of `{name}.logging.every` = {every} steps"
            )
    for name, settings in config["amortizations"].items():
        weight = settings.get("weight", 1.0)
        if weight != "dimension" and not (_is_number(weight) and weight > 0):
            raise InputError(
                f"config key `amortizations.{name}.weight`: {weight!r}; expected a number above 0 "
                "or `dimension`"
            )


def output_folder(config: Config) -> str:
    """Return the preset's working folder, relative to the project's root: `.` for the paper."""
    name = config["preset"]["name"]
    return "." if name == "paper" else f"runs/{name}"


CELEBA64_GENERATOR = "celeba64_generator"
"""The prepared file that all pairs of CelebA64 share; it holds no pair."""


def pairs(config: Config) -> dict[str, dict[str, Any]]:
    """Return the pairs of measures that the config's cells use: name -> settings of `prepare`.

    With those of CelebA64, if there are any, comes the generator that they share.
    """
    benchmark = {"kind": "benchmark"} | config["measures"]["benchmark"]
    used = {f"hd{dimension}": benchmark for _, dimension in _dimensions(config)}
    # One published repository, one mirror of it.
    published = {key: benchmark[key] for key in ("mirror", "url")}
    celeba64 = {"kind": "celeba64"} | config["measures"]["celeba64"] | published
    if names := [f"celeba64_{which}" for which in config["celeba64"]["generators"]]:
        used |= {name: dict(celeba64) for name in [CELEBA64_GENERATOR, *names]}
    for part in config["synthetic"]["grids"]:
        used |= {name: config["measures"]["synthetic"][name] for name in part["pairs"]}
    if methods(config["lagrangian"]):
        name = config["lagrangian"]["pair"]
        used[name] = config["measures"]["synthetic"][name]
    for name in config["metric_recovery"]["sets"] if methods(config["metric_recovery"]) else ():
        used[name] = {"kind": "snapshots"} | config["measures"]["snapshots"][name]
    used |= {task: dict(config["measures"]["discrete"][task]) for task in discrete_tasks(config)}
    for encoding in color_encodings(config).values():
        palettes = {"kind": "palettes"} | config["measures"]["palettes"]
        used[color_pair(encoding)] = palettes | {"encoding": encoding}
    return used
