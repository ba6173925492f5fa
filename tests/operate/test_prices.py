from operate.prices import prices, saved
from stacks.config import StageConfig
from stacks.prices import USD_PER_HOUR


def rows(**knobs: object) -> dict[str, str]:
    _, *lines = prices(StageConfig(stage="dev", **knobs)).splitlines()  # type: ignore[arg-type]
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines}


def test_idle_is_the_endpoint_and_active_is_a_training_beside_it() -> None:
    told = rows(endpoint_instance_type="ml.g4dn.xlarge", endpoint_instance_count=2, training_instance_count=3)
    idle = 2 * USD_PER_HOUR["ml.g4dn.xlarge"]
    active = idle + 3 * USD_PER_HOUR["ml.c7i.2xlarge"]
    assert told["idle"].startswith(f"{idle:.2f} USD per hour, {730 * idle:.0f} USD per month 2 x ml.g4dn.xlarge")
    assert told["active"].startswith(f"{active:.2f} USD per hour and 3 x ml.c7i.2xlarge while a training runs")
    assert told["paused"].startswith("under 4 USD per month")


def test_what_grows_by_load_and_what_is_spare_capacity_is_said() -> None:
    told = rows(autoscaling=True, autoscaling_max_instances=6, spot=True)
    assert "up to 6 by load" in told["idle"]
    assert "spot" in told["active"]


def test_an_unknown_price_is_not_made_up() -> None:
    told = rows(endpoint_instance_type="ml.p5.48xlarge")
    assert "USD per hour" not in told["idle"] + told["active"]
    assert "ml.p5.48xlarge: see https://aws.amazon.com/sagemaker/ai/pricing" in told["idle"]
    told = rows(training_instance_type="ml.p5.48xlarge")
    assert "USD per month" in told["idle"] and "ml.p5.48xlarge: see https://" in told["active"]


def test_a_pause_saves_the_endpoint() -> None:
    of_two = saved(StageConfig(stage="dev", endpoint_instance_count=2))
    assert of_two.startswith("That saves 0.43 USD per hour, 312 USD in a month. Buckets")
    assert "see https://" in saved(StageConfig(stage="dev", endpoint_instance_type="ml.p5.48xlarge"))
