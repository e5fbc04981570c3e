"""Take the README's picture of a report: ``python docs/pictures.py RUN``, with Chromium."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OUT = Path(__file__).parent / "images" / "report.png"
WIDTH, HEIGHT = 1000, 1180


def main(run: Path) -> None:
    """Write the picture of a run's ``report.html``."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("needs chromium")
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        flags += ["--disable-background-networking", f"--user-data-dir={profile}"]
        flags += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={OUT}"]
        page = (run / "report.html").resolve().as_uri()
        subprocess.run([browser, *flags, page], check=True, capture_output=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
