from tests.results.examples import any_store

__all__ = ["any_store"]
