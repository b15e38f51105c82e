"""Measures how long a new interpreter takes to import the app, compared with boto3 and a DynamoDB client."""

import os
import subprocess
import sys
from statistics import median

from openbooking.local.engine import environment

REPEATS = 9

WAYS = {
    "boto3": "import boto3; boto3.client('dynamodb')",
    "app": "import app",
    "ready": (
        "import app; from chalicelib.storage.dynamodb.tables import Engine, Tables;"
        "Tables(Engine('bench', 'eu-west-2')).connection.client"
    ),
}


def import_time(repeats: int = REPEATS) -> dict[str, float]:
    """Ratios to boto3 of the medians: of importing `app`, and of that with its DynamoDB client."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    changes = environment("http://127.0.0.1:1")  # no request is sent
    kept = {name: value for name, value in os.environ.items() if name not in changes}
    env = kept | {name: value for name, value in changes.items() if value is not None}
    for turn in range(repeats + 1):
        for way, code in WAYS.items():
            script = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
            ended = subprocess.run(
                [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
            )
            if turn:  # the first turn only fills the disk cache
                times[way].append(float(ended.stdout))
    bare = median(times["boto3"])
    return {way: median(times[way]) / bare for way in ("app", "ready")}
