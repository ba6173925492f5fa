"""What produces the figures that README and docs/ quote: reports here, and what they are made of in .bench."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "benchmarks"
BENCH = ROOT / ".bench"
SITE = BENCH / "site"
"""Where `make .bench/site` puts peers that are imported, apart from the product's packages."""
SHIPPED = ROOT / "model/shipped"
