import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from chunkmeans.errors import ResultError
from chunkmeans.events import Advanced, ImageFinished, Iterated, Note, RunFinished, RunStarted
from chunkmeans.results.store.log import Log
from chunkmeans.results.store.store import Store


def lines(store):
    texts = [store.read_text(f"logs/{name}") for name in store.names("logs")]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_each_event_is_a_line_with_its_time_its_name_and_its_fields(any_store):
    with Log(any_store) as log:
        log(RunStarted(3, 2))
        log(Iterated("collection", 0, 1, float("inf"), 0.5))
        log(ImageFinished("a", "failed", "a\nb", 0.1, "Traceback ..."))
        log(RunFinished({"done": 2}, 1.5))
    found = lines(any_store)
    assert all(line.pop("time").endswith("+00:00") for line in found)
    assert found[0] == {"event": "RunStarted", "images": 3, "pending": 2}
    assert found[1]["residual"] == "Infinity"
    assert found[2]["reason"] == "a\nb"
    assert found[3] == {"event": "RunFinished", "counts": {"done": 2}, "seconds": 1.5}


def test_a_second_run_adds_to_the_log(any_store):
    for text in ("first", "second"):
        with Log(any_store) as log:
            log(Note(text))
    assert [line["text"] for line in lines(any_store)] == ["first", "second"]


def test_on_a_disk_a_line_is_there_at_once(tmp_path):
    store = Store(str(tmp_path))
    with Log(store) as log:
        log(Note("now"))
        assert [line["text"] for line in lines(store)] == ["now"]


def test_where_nothing_can_be_appended_the_log_comes_in_parts(any_store, monkeypatch):
    monkeypatch.setattr("chunkmeans.results.store.log._LINES_PER_PART", 10)
    with Log(any_store) as log:
        for i in range(25):
            log(Note(str(i)))
    assert [line["text"] for line in lines(any_store)] == [str(i) for i in range(25)]
    parts = 1 if any_store.folder else 3
    assert len(any_store.names("logs")) == parts


def test_where_nothing_can_be_appended_a_kill_costs_the_log_of_a_minute(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("chunkmeans.results.store.log.monotonic", lambda: clock[0])
    store = Store("memory://log-of-a-minute/out")
    log = Log(store)
    log(Note("first"))
    assert store.names("logs") == []
    clock[0] = 61.0
    log(Note("second"))
    assert [line["text"] for line in lines(store)] == ["first", "second"]
    log(Note("third"))
    assert len(lines(store)) == 2
    log.close()
    assert len(lines(store)) == 3


def test_threads_do_not_mix_their_lines(any_store):
    with Log(any_store) as log, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: log(Advanced("read", str(i), i, i)), range(500)))
    assert sorted(line["pixels"] for line in lines(any_store)) == list(range(500))


def test_a_closed_log_takes_no_event(any_store):
    log = Log(any_store)
    log.close()
    log.close()
    with pytest.raises(ValueError, match="closed"):
        log(Note("late"))


def test_a_log_that_cannot_be_opened_is_an_error_that_names_it(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(ResultError, match="logs: the log cannot be opened"):
        Log(Store(str(tmp_path)))
