"""OpenVINO, which without this tells Google Analytics of every import and every model it converts.

It does so by a package of its own, and does without where that is absent.
"""

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as openvino  # noqa: E402
