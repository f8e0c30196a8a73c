"""A data job in small: numbers to a file of columns and back, a model of them, and a picture of both."""

import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

mpl.use("Agg")
from matplotlib import pyplot as plt


def main() -> None:
    """Do the job; end with an error where a step gives something else than it should."""
    hours = np.arange(48.0)
    measured = pd.DataFrame({"hour": hours, "load": 3.0 * hours + 2.0})
    with tempfile.TemporaryDirectory() as folder:
        measured.to_parquet(Path(folder) / "load.parquet")
        read = pd.read_parquet(Path(folder) / "load.parquet")
        model = LinearRegression().fit(read[["hour"]], read["load"])
        assert abs(model.coef_[0] - 3.0) < 1e-9

        plt.plot(read["hour"], model.predict(read[["hour"]]))
        plt.savefig(Path(folder) / "load.png")
        assert (Path(folder) / "load.png").stat().st_size > 1000
    print("the job is done")


if __name__ == "__main__":
    main()
