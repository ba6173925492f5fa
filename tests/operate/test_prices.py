from pathlib import Path

from operate.prices import HOURS_PER_MONTH, break_even_images, prices, saved
from stacks.config import StageConfig
from stacks.prices import FUNCTION_IMAGE_S, USD_PER_HOUR, function_usd_per_image


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


def test_without_instances_nothing_is_paid_while_nobody_asks_and_a_rush_is_bounded() -> None:
    told = rows(serving="lambda", function_memory_mb=2048, function_concurrency=5)
    assert told["idle"].startswith("under 4 USD per month nothing for the model")
    assert told["asked"].startswith(f"{1e6 * function_usd_per_image(2048):.2f} USD per million images")
    assert "0.12 USD per hour for each that runs, 0.60 USD while 5 do" in told["asked"]
    assert told["active"].startswith("0.43 USD per hour while a training runs")
    assert "That saves nothing" in saved(StageConfig(stage="dev", serving="lambda"))


def test_it_is_said_from_where_on_the_other_way_costs_less() -> None:
    config = StageConfig(stage="dev")
    images = HOURS_PER_MONTH * USD_PER_HOUR["ml.c7i.xlarge"] / function_usd_per_image(3008)
    assert break_even_images(config) == images
    assert f"With fewer than about {images / 1e6:.0f} million images a month serving=lambda" in prices(config)
    by_function = config.model_copy(update={"serving": "lambda"})
    assert f"With more than about {images / 1e6:.0f} million images a month serving=endpoint" in prices(by_function)
    assert "million images" not in prices(StageConfig(stage="dev", endpoint_instance_type="ml.p5.48xlarge"))


def test_the_documents_say_what_is_computed() -> None:
    said = (Path(__file__).parents[2] / "docs/operate.md").read_text()
    memory_mb = StageConfig(stage="dev").function_memory_mb
    images = break_even_images(StageConfig(stage="dev")) or 0
    assert f"about ${1e6 * function_usd_per_image(memory_mb):.2f} for a million images with {memory_mb:,} MB" in said
    assert f"of {FUNCTION_IMAGE_S:g} s an image for a ViT-B/32" in said
    assert f"with more than about {images / 1e6:.0f} million a month one" in said
