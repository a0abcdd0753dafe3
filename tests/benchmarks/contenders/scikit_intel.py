"""scikit-learn's k-means as scikit-learn-intelex computes it."""

from tests.benchmarks.contenders.scikit import segment
from tests.benchmarks.contenders.task import Task


def main() -> None:
    """Do the task that the command line names."""
    from sklearnex import patch_sklearn

    patch_sklearn(verbose=False)
    from sklearn.cluster import KMeans

    segment(Task.of_this_process(), KMeans)


if __name__ == "__main__":
    main()
