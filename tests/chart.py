"""Lints the Helm chart and renders it with its defaults and with other values: `chart.py FOLDER` writes a manifest for each."""

import pathlib
import sys

import helm_python
import yaml

CHART = str(pathlib.Path(__file__).parent.parent / "deploy/helm/natter")
VALUES = {
    "default": {},
    "other": {
        "autoscaling": {"enabled": False},
        "replicas": 3,
        "ingress": {"enabled": False},
        "settings": {"NATTER__MAIL__FROM": "natter@example.org"},
        "image": {"tag": "9"},
    },
}

errors = helm_python.lint(CHART, strict=True)["errors"]
assert not errors, errors
chart = helm_python.Chart.load(CHART)
for name, values in VALUES.items():
    files = chart.render(values=values, name="natter", namespace="natter")
    documents = [
        document
        for path, text in sorted(files.items())
        if not path.endswith(".tpl")
        for document in yaml.safe_load_all(text)
        if document
    ]
    assert len(documents) > 4, sorted(files)
    pathlib.Path(sys.argv[1], f"chart-{name}.yaml").write_text(yaml.safe_dump_all(documents))
