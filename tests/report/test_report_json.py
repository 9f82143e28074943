"""Documents hold exactly the keys that docs/json.md describes, with the types that it gives them."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nasopt.report import devices, predictors, reproduction, searches, spaces, tables
from nasopt.report import json as documents
from nasopt.results import ApplyResult
from tests.report import example_results as examples

ROOT = Path(__file__).parents[2]
MODEL, RESULT, SCRIPT = Path("net.onnx"), Path("small.onnx"), Path("small.onnx.json")

BODIES = {
    "error": [documents.failure("ConstraintUnreachableError", "no", {"flops": 0.4}), documents.failure("UsageError", "no", None)],
    "inspect": [documents.inspect(examples.INSPECT)],
    "explain": [documents.explain(examples.EXPLAIN)],
    "compress": [documents.compress(result) for result in (examples.RESNET, examples.DRY, examples.SLOW, examples.LONG, examples.BUDGET)],
    "apply": [documents.apply(SCRIPT, MODEL, ApplyResult(RESULT, structural)) for structural in (False, True)],
    "diff": [documents.diff(examples.DIFF)],
    "verify": [
        documents.verify(outcome, original=MODEL, result=RESULT, script=script)
        for outcome, script in ((examples.VERIFIED, SCRIPT), (examples.NOT_VERIFIED, None))
    ],
    "bench": [documents.bench(examples.BENCH), documents.bench(examples.BENCH_ALONE), documents.bench(examples.BENCH_BOARD)],
    "doctor": [documents.doctor(examples.DOCTOR), documents.doctor(examples.SICK)],
    "draw": [documents.draw(examples.DRAWING, Path("net.svg"))],
    "predict": [predictors.predict_json(one) for one in (examples.PREDICTED, examples.UNLIKE)],
    "proxies": [predictors.proxies_json(examples.PROXIES)],
    "predict-tasks": [predictors.tasks_json(examples.TASKS)],
    "train-aiop": [predictors.train_json(examples.TRAINED)],
    "train-aiop-reproduce": [reproduction.reproduce_json(examples.REPRODUCED)],
    "device-calibrate": [devices.calibrate_json(examples.CALIBRATED)],
    "device-list": [devices.list_json(one) for one in (examples.DEVICES, examples.NO_DEVICES)],
    "device-show": [devices.show_json(one) for one in (examples.SHOWN_DEVICE, examples.SHOWN_BOARD)],
    "search": [searches.search_json(one) for one in (examples.SEARCHED, examples.SEARCHED_PLAINLY)],
    "runs-list": [searches.list_json(examples.RUNS)],
    "runs-show": [searches.show_json(one) for one in (examples.RUN, examples.YOUNG_RUN)],
    "runs-watch": [searches.show_json(one) for one in (examples.RUN, examples.YOUNG_RUN)],
    "runs-front": [searches.front_json(examples.RUN)],
    "runs-export": [searches.export_json(Path("a.csv"), [{"number": 1}])],
    "spaces-list": [spaces.list_json(examples.SPACES)],
    "spaces-show": [spaces.show_json(examples.SPACE)],
    "spaces-sample": [spaces.sample_json(examples.SAMPLED)],
    "spaces-build": [spaces.build_json(examples.BUILT)],
    "tables-list": [tables.list_json(examples.TABLES)],
    "tables-show": [tables.show_json(examples.TABLE)],
    "tables-query": [tables.query_json(examples.QUERIED)],
    "tables-import": [tables.import_json(examples.IMPORTED)],
    "spaces-draw": [spaces.draw_json(examples.DRAWN, {"cell": Path("cell.svg")})],
}
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}


def documented() -> dict[str, dict[str, str]]:
    """Type by key, by the heading that the table stands under."""
    tables: dict[str, dict[str, str]] = {}
    for line in (ROOT / "docs/json.md").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"## (.+)", line):
            tables[heading[1]] = {}
        elif row := re.fullmatch(r"\| `([^`]+)` \| ([a-z, ]+) \|.*\|", line):
            table = tables[list(tables)[-1]]
            assert row[1] not in table, f"{row[1]} is documented twice"
            table[row[1]] = row[2]
    return tables


def found(value: object, known: dict[str, str], path: str = "") -> dict[str, list[object]]:
    """Every value of a document by the path of its key, as docs/json.md spells paths."""
    values: dict[str, list[object]] = {}
    if isinstance(value, dict):
        free = f"{path}.*" in known
        children = [(f"{path}.*" if free else f"{path}.{key}".lstrip("."), child) for key, child in value.items()]
    elif isinstance(value, list):
        children = [(f"{path}[]", child) for child in value]
    else:
        return values
    for name, child in children:
        if not name.endswith("[]"):
            values.setdefault(name, []).append(child)
        for key, more in found(child, known, name).items():
            values.setdefault(key, []).extend(more)
    return values


def complete(verb: str, body: dict[str, object]) -> dict[str, object]:
    text = documents.dumps(documents.document(verb, body, command="nasopt x", seed=None, exit_code=0))
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def fits(value: object, kind: str) -> bool:
    names = kind.removesuffix(", optional").split(" or ")
    return any(isinstance(value, TYPES[name]) and (isinstance(value, bool) == (name == "boolean")) for name in names)


def test_every_document_is_documented():
    assert set(documented()) == {"Every document"} | {f"nasopt/{verb}/1" for verb in BODIES}


@pytest.mark.parametrize("verb", BODIES)
def test_documents_and_documentation_agree(verb):
    tables = documented()
    known = tables["Every document"] | tables[f"nasopt/{verb}/1"]
    seen: dict[str, list[object]] = {}
    for body in BODIES[verb]:
        for key, values in found(complete(verb, body), known).items():
            seen.setdefault(key, []).extend(values)
    assert set(seen) == set(known)
    wrong = [(key, value) for key, values in seen.items() for value in values if not fits(value, known[key])]
    assert not wrong


@pytest.mark.parametrize("verb", BODIES)
def test_no_key_comes_and_goes(verb):
    tables = documented()
    known = tables["Every document"] | tables[f"nasopt/{verb}/1"]
    top = {key for key, kind in known.items() if "." not in key and "optional" not in kind}
    for body in BODIES[verb]:
        assert set(complete(verb, body)) == top


def test_the_envelope():
    document = documents.document("bench", {"runs": 1}, command="nasopt bench 'a b.onnx'", seed=3, exit_code=5)
    assert document == {"schema": "nasopt/bench/1", "command": "nasopt bench 'a b.onnx'", "seed": 3, "exit": 5, "runs": 1}


def test_the_figures_of_compress():
    body = documents.compress(examples.RESNET)
    assert body["before"]["macs"] == 125_485_696
    assert body["after"]["params"] == 702_314
    assert body["drop"]["flops"] == 1 - 108_100_352 / 125_485_696
    assert (body["latency"]["before_ms"], body["latency"]["after_ms"], body["latency"]["threads"]) == (4.1234, 3.4821, 1)
    assert body["granularity"]["asked"] == "auto"
    assert body["granularity"]["steps"]["layer2.0.conv1.weight"] == 16
    assert [point["chosen"] for point in body["front"]].count(True) == 1


def test_what_is_not_finite_is_null():
    body = documents.verify(replace(examples.VERIFIED, max_relative_error=math.nan), original=MODEL, result=RESULT, script=None)
    assert complete("verify", body)["max_relative_error"] is None


def test_documents_survive_any_encoding():
    assert documents.dumps({"name": "große Schicht → ☃"}).isascii()
