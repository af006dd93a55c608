"""Validates archives as Workflow Run RO-Crates with roc-validator, without a network.

Usage: .venv-crate/bin/python scripts/validate_crate.py ARCHIVE.zip ...

The validator asks the network for the JSON-LD context of RO-Crate 1.1. Here it gets the context
that comes with the rocrate library, of 1.3, with the terms that 1.1 defines otherwise; any other
address is refused.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "workflow-run-crate-0.5"
# https://w3id.org/ro/crate/1.1/context has these without `terms/`.
TERMS_OF_1_1 = {
    name: f"https://bioschemas.org/{name}" for name in ("ComputationalWorkflow", "FormalParameter")
}


def local(_: Any, address: str, **__: Any) -> Any:
    """Answer a request for the context; stands in for the validator's own way to the network.

    Raises:
        RuntimeError: it asks for something else.
    """
    requests = import_module("requests")

    if address != CONTEXT:
        raise RuntimeError(f"{address}: not at hand without a network")
    text = files("rocrate").joinpath("data/ro-crate.jsonld").read_text("utf8")
    context = json.loads(text)
    context["@context"] |= TERMS_OF_1_1
    answer = requests.Response()
    answer.status_code, answer.url = 200, address
    answer.headers["Content-Type"] = "application/ld+json"
    answer._content = json.dumps(context).encode()
    return answer


def main() -> int:
    """Validate; return the exit code, 1 where an archive does not meet a requirement."""
    # By name: they are not in the environment that the types are checked in.
    services = import_module("rocrate_validator.services")
    models = import_module("rocrate_validator.models")
    import_module("rocrate_validator.utils.http").HttpRequester.get = local
    passed = []
    for archive in sys.argv[1:]:
        result = services.validate(
            {
                "rocrate_uri": Path(archive).as_posix(),
                "profile_identifier": PROFILE,
                "requirement_severity": models.Severity.REQUIRED,
                "offline": True,
            }
        )
        for issue in result.get_issues():
            sys.stdout.write(f"{issue.severity.name}: {issue.check.identifier}: {issue.message}\n")
        passed.append(result.passed())
        sys.stdout.write(f"{archive}: {'conforms to' if passed[-1] else 'FAILS'} {PROFILE}\n")
    return 0 if passed and all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
