import pytest

from contract.batches import SHARD_IMAGES
from tests.lambdas.batch.conftest import Stage, kill_at


@pytest.mark.slow
def test_two_thousand_images_are_classified_once_each_although_the_worker_is_killed(stage: Stage) -> None:
    bad = tuple(range(0, 2000, 100))
    keys = stage.put(2000, bad=bad)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.before_invocation = kill_at({12})  # in the midst of the second shard
    stage.work(id)
    view = stage.view(id)
    assert (view["state"], view["images"], view["done_images"]) == ("done", 2000, 2000)
    assert (view["results"], view["problems"], view["done_shards"]) == (1980, 20, 2000 // SHARD_IMAGES)
    results, problems = stage.lines(view["results_s3_prefix"]), stage.lines(view["problems_s3_prefix"])
    assert [each["s3_key"] for each in results] == [key for i, key in enumerate(keys) if i not in bad]
    assert [each["place"] for each in problems] == [keys[i] for i in bad]
    assert {each["problem"]["status"] for each in problems} == {422}
    assert {each["model_version"] for each in results} == {"tiny@1"}
    assert all(len(each["answer"]) == 1 and each["answer"][0]["label"] in ("cat", "dog") for each in results)
