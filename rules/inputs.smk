# What rules take as input, by the names of pairs, tables, tasks and figures.

# Pairs that are laws over discrete measures.
TASKS = tasks(config)


def content(pair):
    """What decides a pair's file. Where weights come from does not, once they are verified."""
    elsewhere = ("mirror", "url", "raster") + (("folder",) if pair in TASKS else ())
    settings = {key: value for key, value in PAIRS[pair].items() if key not in elsewhere}
    return settings | {end: named(path) for end, path in image_files(PAIRS[pair]).items()}


def prepared(pair):
    """The settings of a pair's job: paths in the config are relative to the checkout."""
    found = {end: places.of_config(path, SOURCE) for end, path in image_files(PAIRS[pair]).items()}
    shared = generator_of(pair)
    own = {
        key: places.of_config(PAIRS[pair][key], SOURCE)
        for key in ("folder", "raster")
        if pair in TASKS and PAIRS[pair].get(key) is not None
    }
    return PAIRS[pair] | found | own | ({"generator": shared[0]} if shared else {})


def images_of(pair):
    """The images that a pair is made of, as input files."""
    return [
        tracked(path) for path in [*image_files(PAIRS[pair]).values(), *palette_files(pair)]
    ] + [tracked(path) for path in discrete_files(pair)]


def discrete_files(pair):
    """The files of the user's that a law over discrete measures is made of."""
    settings = PAIRS[pair] if pair in TASKS and "folder" in PAIRS[pair]["sources"] else {}
    if settings.get("raster") is not None:
        return [settings["raster"]]
    if settings.get("folder") is None:
        return []
    # A folder or a file that is not there is the job's to report, in words.
    names = [f"{part}-images{dot}idx3-ubyte" for part in ("train", "t10k") for dot in "-."]
    paths = [os.path.join(settings["folder"], name + ext) for name in names for ext in ("", ".gz")]
    return [path for path in paths if os.path.isfile(places.of_config(path, ROOT))]


def palette_files(pair):
    """What a law over images is made of: the files of the user's folder, or the named package's."""
    settings = PAIRS[pair]
    if settings["kind"] != "palettes":
        return []
    folder = settings["folder"]
    if folder is None or "folder" not in settings["sources"]:
        return [] if settings["paintings"] is None else [settings["paintings"]]
    here = places.of_config(folder, ROOT)
    # A folder that is not there is the job's to report, in words.
    names = sorted(os.listdir(here)) if os.path.isdir(here) else []
    paths = [os.path.join(folder, name) for name in names if not name.startswith(".")]
    return [path for path in paths if os.path.isfile(places.of_config(path, ROOT))]


def preparing(pair, attempt):
    """Memory and minutes of a pair's job; the generator, one file to read, asks what light jobs do."""
    if pair == CELEBA64_GENERATOR:
        return REQUESTS.light_mb(attempt), REQUESTS.light_min(attempt)
    return REQUESTS.training_mb(attempt), REQUESTS.preparing_min(DIMENSIONS[pair], attempt)


def generator_of(pair):
    """The prepared generator that a pair of CelebA64 takes its source from, as an input file."""
    takes = PAIRS[pair]["kind"] == "celeba64" and pair != CELEBA64_GENERATOR
    return [f"results/measures/{CELEBA64_GENERATOR}.safetensors"] if takes else []


def cells_of_figure(figure):
    """Names of the cells that a figure shows."""
    if figure in FIGURES_OF:
        return list(CELLS_OF[FIGURES_OF[figure]])
    return arguments.cells_of_figure(PLANE_FIGURES[figure], CELLS.values())


def pairs_of_figure(figure):
    """Prepared files of the cells that a figure shows, in their order."""
    return [f"results/measures/{CELLS[name].pair}.safetensors" for name in cells_of_figure(figure)]


def cells_of(potential):
    """Names of the cells of one table, row by row."""
    return [name for name, cell in HD.items() if cell.potential == potential]


def metrics_of(*sections):
    """The tidy metrics of systems beside the paper's own, where the preset has their cells."""
    return [f"results/metrics/{name}.csv" for name in sections if name in ADDED]


def tables_of(section):
    """What may be a table of a system beside the paper's own, as a wildcard's constraint."""
    return "|".join(ADDED[section].tables) if section in ADDED else "^$"


def starts_of(task):
    """Names of the cells that were trained on a task of discrete measures."""
    return [cell.name for cell in CELLS_OF["meta_sinkhorn"].values() if cell.pair == task]


def category_of(figure):
    """Where a figure is in the report of `snakemake --report`."""
    if figure in PLANE_FIGURES:
        return "Figures on the plane"
    section = FIGURES_OF[figure]
    return ADDED[section].category if section in ADDED else "Figures of CelebA64"
