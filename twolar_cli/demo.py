"""`twolar demo`: the page as the Hub runs it, where its files import each other by bare names."""

import runpy
import sys
from pathlib import Path

SPACE = Path(__file__).parents[1] / "spaces_demo"

if __name__ == "__main__":
    sys.path.insert(0, str(SPACE))
    runpy.run_path(str(SPACE / "app.py"), run_name="__main__")
