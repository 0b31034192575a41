"""Start the page and end it."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from stpn_core.errors import InputError
from stpn_core.settings import from_json
from stpn_core.training import StopFlag, choose_device
from stpn_data.degrade import KINDS
from stpn_vod.app.arguments import AppArguments
from stpn_vod.app.detect import FLOOR, run_job
from stpn_vod.app.files import annotated_clip, json_lines
from stpn_vod.app.jobs import Job, JobQueue
from stpn_vod.app.lanes import Lane, lanes_of
from stpn_vod.app.options import BURST, read_options
from stpn_vod.app.server import AppServer, Service
from stpn_vod.app.uploads import Refused
from stpn_vod.config import Recipe
from stpn_vod.config_checks import check_predict
from stpn_vod.model_file import TrainedDetector, load_trained
from stpn_vod.predict_config import PredictConfig

NO_WEIGHTS = (
    "stpn vod app WEIGHTS: name a weights file or a run directory. None at hand? `stpn vod demo "
    "--out demo` trains two small detectors in a few minutes on a CPU; then `stpn vod app "
    "demo/stpn --twin demo/twin` shows them"
)


def run(arguments: AppArguments) -> int:
    """Serve the page until Ctrl-C (130) or SIGTERM (143)."""
    if arguments.weights is None:
        raise InputError(NO_WEIGHTS)
    if not 0 <= arguments.port < 65536:
        raise InputError(f"--port {arguments.port}: must be from 0 (any free one) to 65535")
    if arguments.max_upload < 1:
        raise InputError(f"--max-upload {arguments.max_upload}: must be 1 MB or more")
    device = choose_device(arguments.device)
    detector = load_trained(arguments.weights, device)
    twin = load_trained(arguments.twin, device) if arguments.twin is not None else None
    settings = settings_for(arguments)
    stop = StopFlag()
    with stop, serving(detector, twin, settings, arguments.port, arguments.max_upload) as address:
        print(f"{address}\nCtrl-C ends it", flush=True)
        if arguments.open:
            webbrowser.open(address)
        while not stop:
            time.sleep(0.1)
    return stop.exit_code


def settings_for(arguments: AppArguments) -> PredictConfig:
    """What the page starts with: the flags that were given, else how the run was evaluated, else
    the defaults of `stpn vod predict`."""
    settings = PredictConfig(score=arguments.score, precision=arguments.precision)
    names = ("policy", "count", "stride", "short_side", "long_side", "resampling")
    file = Path(arguments.weights or "") / "config.json"
    if file.is_file():
        evaluated = from_json(Recipe, file.read_text(), str(file)).eval
        settings = dataclasses.replace(settings, **{n: getattr(evaluated, n) for n in names})
    given = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    settings = dataclasses.replace(settings, **given)
    check_predict(settings)
    return settings


@contextmanager
def serving(
    detector: TrainedDetector,
    twin: TrainedDetector | None = None,
    settings: PredictConfig | None = None,
    port: int = 0,
    max_upload: int = 1024,
) -> Iterator[str]:
    """Serve on 127.0.0.1 in threads of its own while entered; gives the address.

    max_upload: megabytes of a clip. Clips and pictures lie in a temporary folder that goes away.
    Raises InputError if the port is taken.
    """
    lanes = lanes_of(detector, twin)
    settings = settings or PredictConfig()
    folder = Path(tempfile.mkdtemp(prefix="stpn-app-"))
    try:
        queue = JobQueue(lambda job: run_job(job, lanes))
        try:
            service = _service(queue, folder, max_upload * 10**6, lanes, settings, detector)
            try:
                server = AppServer(port, service)
            except OSError as error:
                raise InputError(f"--port {port}: {error.strerror or error}") from error
            listener = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
            listener.start()
            try:
                yield server.address
            finally:
                server.shutdown()
                server.server_close()
        finally:
            queue.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _service(
    queue: JobQueue,
    folder: Path,
    max_upload: int,
    lanes: Sequence[Lane],
    settings: PredictConfig,
    detector: TrainedDetector,
) -> Service:
    def submit(number: int, name: str, clip: Path, fields: dict[str, str]) -> Job:
        try:
            options = read_options(fields, settings)
            job = Job(number, _shown(name), clip, options)
            queue.add(job)
        except BaseException as error:
            shutil.rmtree(clip.parent, ignore_errors=True)
            if type(error) is InputError:
                raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
            raise
        return job

    return Service(
        queue=queue,
        folder=folder,
        max_upload=max_upload,
        info=_info(lanes, settings, max_upload, detector),
        submit=submit,
        lines=lambda job, score: json_lines(job, lanes, score),
        clip=lambda job, score: annotated_clip(job, lanes, score),
    )


def _info(
    lanes: Sequence[Lane], settings: PredictConfig, max_upload: int, detector: TrainedDetector
) -> dict[str, Any]:
    model = detector.model
    first = next(model.parameters())
    return {
        "detector": _title(detector.source),
        "source": str(detector.source),
        "encoder": detector.config.encoder,
        "head": detector.config.head,
        "predictor": detector.config.predictor,
        "parameters": sum(p.numel() for p in model.parameters()),
        "device": str(first.device),
        "classes": list(detector.classes),
        "lanes": [
            {"key": lane.key, "title": lane.title, "classes": list(lane.classes)} for lane in lanes
        ],
        "settings": dataclasses.asdict(settings),
        "kinds": list(KINDS),
        "burst": BURST,
        "floor": FLOOR,
        "max_upload": max_upload,
    }


def _title(source: Path) -> str:
    """The run and step of a checkpoint, or the name of a file."""
    step = source.parent
    return (
        f"{step.parent.parent.name}, {step.name}" if step.name.startswith("step-") else source.name
    )


def _shown(name: str) -> str:
    """A name from outside as one printable line."""
    kept = "".join(c for c in name.replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable())
    return kept[:120] or "clip"
