"""A plain loop over a folder, as a user would write it: pillow, scikit-learn, `numpy.save`.

scikit-learn's threads are on. Beside the labels nothing is written: no means, no catalogue, no
sync to the disk.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.cluster import KMeans


def main() -> None:
    """Segment the folder that the task on the command line names."""
    task: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    output = Path(task["output"])
    iterations, inertias = [], []
    for path in sorted(Path(task["folder"]).glob("*.jpg")):
        pixels = np.asarray(Image.open(path).convert("RGB"))
        kmeans = KMeans(n_clusters=task["k"], n_init=1, random_state=0, **task["kmeans"])
        labels = kmeans.fit_predict(pixels.reshape(-1, 3))
        np.save(output / f"{path.stem}.npy", labels.reshape(pixels.shape[:2]).astype(np.uint8))
        iterations.append(int(kmeans.n_iter_))
        inertias.append(float(kmeans.inertia_))
    (output / "stats.json").write_text(json.dumps([iterations, inertias]))


if __name__ == "__main__":
    main()
