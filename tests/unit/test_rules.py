"""The rules' shell commands: words that may hold anything are quoted, and who asks for a GPU."""

import re
from pathlib import Path

from w2dual.cluster.doctor.queue import GPU_RULES, PREPARE

RULES = Path(__file__).parents[2] / "rules"
# Made of the names in a config, which the schema keeps to a-z, 0-9 and _; or numbers.
OF_NAMES = re.compile(r"wildcards\.\w+|output(\.\w+)?|log|threads|input\.\w+")
PARAMS_OF_NAMES = {"potentials", "study", "samples", "seed", "threads", "checkpoint", "added"}
# Paths of the checkout or the user's, which may hold anything.
FREE_INPUTS = {"base", "published", "images", "code", "kept"}


def rules() -> dict[str, str]:
    text = "\n".join(path.read_text() for path in sorted(RULES.glob("*.smk")))
    return dict(re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", text, re.MULTILINE))


def placeholders(rule: str) -> list[str]:
    shell = re.search(r"    shell:\n((?:        .*\n)+)", rule)
    return re.findall(r"\{([^{}]+)\}", shell[1]) if shell else []


def test_what_may_hold_a_space_is_quoted():
    found = {name: placeholders(rule) for name, rule in rules().items()}
    assert sum(map(len, found.values())) > 100
    for name, words in found.items():
        for word in words:
            kind, _, key = word.partition(".")
            if word.endswith(":q"):
                continue
            if kind == "params":
                assert re.sub(r"\[.*", "", key) in PARAMS_OF_NAMES, f"{name}: {{{word}}}"
            else:
                assert OF_NAMES.fullmatch(word), f"{name}: {{{word}}}"
                assert kind != "input" or key not in FREE_INPUTS, f"{name}: {{{word}}}"


def test_the_doctor_knows_which_rules_ask_for_a_gpu():
    asking = {name for name, rule in rules().items() if re.search(r"^        gpu=", rule, re.M)}
    assert asking == {*GPU_RULES, PREPARE}
