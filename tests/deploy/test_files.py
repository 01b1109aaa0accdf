"""What the files in examples/deploy say, as far as it can be told without the programs that they are for."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.test_deploy import FILES, service
from wsrequest.conf import Settings

GRACE = Settings().grace_time
STUCK = 10  # seconds more, for threads that can't be stopped
PINGS = 20  # seconds between two of uvicorn's


def test_the_dockerfile_is_linted():
    hadolint = Path(sys.executable).parent / "hadolint"
    command = [hadolint, "--format", "json", FILES / "Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == []


def test_the_dockerfile_and_the_service_start_the_same_server():
    (started,) = re.findall(r"^CMD (\[.*\])$", (FILES / "Dockerfile").read_text(), re.MULTILINE)
    (_, *of_service) = shlex.split(service("mysite-ws.service")["ExecStart"])
    (_, *of_image) = json.loads(started)  # a list: no shell stands between the server and a signal

    def options(arguments):
        return set(re.findall(r"--(\S+ [^-]\S*)", " ".join(arguments)))

    shared = {"ws-per-message-deflate false", "ws-max-size 2097152", "forwarded-allow-ips *"}
    assert shared <= options(of_service) & options(of_image)


def test_systemd_waits_long_enough():
    unit = service("mysite-ws.service")
    assert int(unit["TimeoutStopSec"]) >= GRACE + STUCK
    assert unit["KillMode"] == "mixed"  # SIGTERM to the main process, which tells its workers


def test_kubernetes_waits_long_enough():
    deployment, of_service, ingress = yaml.safe_load_all((FILES / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    _, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] >= int(pause) + GRACE + STUCK
    (port,) = of_service["spec"]["ports"]
    assert port["targetPort"] == container["ports"][0]["containerPort"]
    for value in ingress["metadata"]["annotations"].values():
        assert int(value) > PINGS


@pytest.mark.parametrize("name", ["proxy_read_timeout", "proxy_send_timeout"])
def test_nginx_waits_longer_than_pings_are_apart(name):
    (seconds,) = re.findall(rf"{name} (\d+)s;", (FILES / "nginx.conf").read_text())
    assert int(seconds) > PINGS
