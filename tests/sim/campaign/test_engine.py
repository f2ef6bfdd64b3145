"""Whatever dies during a campaign, its results are the same: no tile is lost, and none counted twice."""

import json
import shutil
import sqlite3

import pytest

from sdann.errors import FileFormatError, SdannError
from sdann.mapper import ProgramImage
from sdann.mapper.build import NetworkMap
from sim.campaign import Request, results_file
from sim.campaign.engine import CampaignOptions, run_campaign
from sim.campaign.summary import summarize

from . import jobs
from .conftest import wrong_weights

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # of sockets to workers that were killed


def rows(path, query="SELECT * FROM tiles"):
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        found = [dict(row) for row in db.execute(query)]
    db.close()
    return found


def fixed(path):
    """The table of tiles, without what depends on who ran them."""
    varies = {"seconds", "worker", "attempt"}
    return [{name: value for name, value in row.items() if name not in varies} for row in rows(path)]


def events(path):
    return [row["kind"] for row in rows(path, "SELECT kind FROM events")]


def summary(path):
    with results_file(path, write=False) as file:
        (found,) = summarize(file)
    return found


@pytest.fixture(scope="module")
def undisturbed(run_at, client, tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "results.db"
    assert run_at(path, client) == []
    return path


def test_everything_is_compared(undisturbed, network):
    found = summary(undisturbed)
    assert found.complete and found.passes > 1 and found.mismatches == 0 and found.problems == ()
    sizes = {row.layer: row.activations for row in found.layers if not row.source}
    for layer in network.layers:
        assert sizes[layer.name] == layer.shape[0] * layer.shape[1] * layer.shape[2]
    assert found.done == found.cores == len(fixed(undisturbed)) and found.cycles > 0
    assert found.compared == sum(row["compared"] for row in rows(undisturbed))
    shown = rows(undisturbed, "SELECT part, activations FROM cores")
    assert any(row["part"] and not row["activations"] for row in shown)  # a split fan-in is among them
    extents = rows(undisturbed, "SELECT pass, layer, stage, channels * height * width AS size FROM extents")
    assert any(row["stage"] and row["size"] < sizes[row["layer"]] for row in extents)  # and bands of a layer
    assert events(undisturbed) == []


def test_what_is_done_is_not_done_again(undisturbed, campaign, tmp_path):
    path = tmp_path / "results.db"
    shutil.copy(undisturbed, path)
    before = rows(path)
    assert campaign(None) == []  # neither a worker nor the files of the passes are needed
    assert rows(path) == before


def test_workers_that_die_change_nothing(undisturbed, campaign, client, tmp_path):
    assert campaign(client, chunk=4, retries=50, job=jobs.dies_at_random) == []
    path = tmp_path / "results.db"
    assert fixed(path) == fixed(undisturbed)
    assert summary(path).complete
    assert len(events(path)) >= 2 and set(events(path)) == {"worker lost"}
    assert max(row["attempt"] for row in rows(path)) > 1


@pytest.mark.long
def test_a_campaign_that_was_stopped_goes_on(undisturbed, campaign, client, tmp_path):
    path = tmp_path / "results.db"

    def stop(done, total, text):
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        campaign(client, chunk=2, report=stop)
    first = {(row["pass"], row["y"], row["x"]): row for row in rows(path)}
    assert 4 <= len(first) < len(fixed(undisturbed))
    assert not summary(path).complete
    assert campaign(client, chunk=3) == []
    assert fixed(path) == fixed(undisturbed)
    again = {(row["pass"], row["y"], row["x"]): row for row in rows(path)}
    assert all(again[place] == row for place, row in first.items())


def test_a_tile_that_hangs_is_given_up_and_the_rest_goes_on(undisturbed, campaign, client, tmp_path):
    (line,) = campaign(client, chunk=4, timeout=0.5, retries=2, job=jobs.hangs_at_one)
    assert "pass 0, core (0, 2): given up after 4 attempts" in line and "more than 1 s" in line
    path = tmp_path / "results.db"
    found = events(path)  # a job may have been on its way to the worker that ended
    assert (
        found.count("time-out") == 4
        and found.count("failed") == 1
        and set(found) <= {"time-out", "failed", "worker lost"}
    )
    missing = [row for row in fixed(undisturbed) if (row["pass"], row["y"], row["x"]) == (0, 0, 2)]
    assert fixed(path) == [row for row in fixed(undisturbed) if row not in missing] and len(missing) == 1
    found = summary(path)
    assert not found.complete and found.wanted - found.done == 1 and found.failed == 1
    assert campaign(client) == []  # tried anew
    assert fixed(path) == fixed(undisturbed)


@pytest.mark.long
def test_what_there_was_no_time_for_goes_out_again(undisturbed, campaign, client, tmp_path):
    path = tmp_path / "results.db"
    assert campaign(client, chunk=3, job=jobs.has_time_for_one) == []
    assert fixed(path) == fixed(undisturbed)
    assert set(events(path)) == {"time-out"}
    assert {row["attempt"] for row in rows(path)} == {1, 2, 3}


@pytest.mark.long
def test_a_worker_without_room_is_reported(undisturbed, campaign, client, tmp_path):
    path = tmp_path / "results.db"
    assert campaign(client, job=jobs.finds_no_room) == []
    assert fixed(path) == fixed(undisturbed)
    texts = [row["text"] for row in rows(path, "SELECT text FROM events WHERE kind = 'error'")]
    assert texts and all("OSError: no room for" in text for text in texts)


def test_a_wrong_mapping_gives_mismatches(campaign, client, tmp_path, monkeypatch):
    """The tile model runs the same wrong program: only the golden knows."""
    right = NetworkMap.image
    monkeypatch.setattr(NetworkMap, "image", lambda self, number: wrong_weights(right(self, number)))
    campaign(client)
    found = summary(tmp_path / "results.db")
    assert found.mismatches > 0 and not all(row["problems"] for row in fixed(tmp_path / "results.db"))
    assert any("activations differ; RTL tile: layer" in line and "core (" in line for line in found.problems)


def test_a_wrong_program_gives_problems(campaign, client, tmp_path, monkeypatch):
    """The tile does not do what the tile model says."""
    right = ProgramImage.save
    monkeypatch.setattr(ProgramImage, "save", lambda self, path: right(wrong_weights(self), path))
    campaign(client)
    assert any(row["problems"] for row in fixed(tmp_path / "results.db"))
    assert summary(tmp_path / "results.db").problems


def test_a_pass_that_changed_on_disk_is_refused(undisturbed, campaign, client, tmp_path):
    path = tmp_path / "results.db"
    shutil.copy(undisturbed, path)
    shutil.copytree(undisturbed.with_name("results.db.work"), tmp_path / "results.db.work")
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM tiles WHERE pass = 0")
    db.close()
    image = tmp_path / "results.db.work" / "run-1" / "pass-000.image"
    content = bytearray(image.read_bytes())
    content[-1] ^= 1
    image.write_bytes(content)
    with pytest.raises(FileFormatError, match="pass-000.image: missing, or not what the campaign wrote"):
        campaign(client)


@pytest.mark.long
def test_another_plan_under_the_same_name_is_refused(undisturbed, campaign, tmp_path):
    path = tmp_path / "results.db"
    shutil.copy(undisturbed, path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE runs SET plan = 'another'")
        db.execute("UPDATE passes SET image = NULL WHERE pass = 1")
    db.close()
    with pytest.raises(SdannError, match="mapped otherwise, than when this campaign began"):
        campaign(None)


def test_layers_and_shapes(undisturbed, request_, campaign, client, tmp_path, build_dir):
    path = tmp_path / "results.db"
    last = rows(undisturbed, "SELECT layer FROM cores WHERE stage > 0")[-1]["layer"]
    campaign(client, layers=(last,))
    named = rows(path, "SELECT DISTINCT layer FROM cores JOIN tiles USING (run, pass, y, x)")
    assert [row["layer"] for row in named] == [last]
    with results_file(tmp_path / "shapes.db", write=True) as file:
        options = CampaignOptions(build_dir=build_dir, shapes=True)
        for _ in range(2):  # the second time nothing is left to do
            assert run_campaign(file, [request_, Request(**vars(request_))], client, options) == []
    ran = rows(tmp_path / "shapes.db", "SELECT shape, COUNT(t.run) AS done FROM cores c LEFT JOIN tiles t "
               "USING (run, pass, y, x) GROUP BY shape")  # fmt: skip
    assert {row["done"] for row in ran} == {1} and len(ran) < len(fixed(undisturbed))
    assert not summary(tmp_path / "shapes.db").complete
    with pytest.raises(SdannError, match="no network has a layer 'conv99'; there are: depthwise1, "):
        campaign(None, layers=("conv99",))


@pytest.mark.long
def test_events_name_their_tiles(campaign, client, tmp_path):
    campaign(client, chunk=2, job=jobs.finds_no_room)
    row = rows(tmp_path / "results.db", "SELECT * FROM events")[0]
    assert 1 <= len(json.loads(row["cores"])) <= 2 and row["attempt"] == 1 and row["time"].endswith("+00:00")
