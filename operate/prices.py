"""What a stage costs by its configuration: idle, active and without its endpoint."""

from collections.abc import Sequence

from stacks.config import StageConfig
from stacks.prices import USD_PER_HOUR, function_usd_per_image, function_usd_per_s

HOURS_PER_MONTH = 730

REST_USD_PER_MONTH = 4
"""Below that stay buckets, images, alarms and logs of a stage that nobody uses, by list prices: an alarm costs 0.10 for
each metric that it looks at, the first ten of an account nothing. An account's first three dashboards cost nothing.
https://aws.amazon.com/cloudwatch/pricing
"""

PRICING = "https://aws.amazon.com/sagemaker/ai/pricing"


def training_usd_per_hour(config: StageConfig) -> float | None:
    """Of one training job's instances, on demand in us-east-1; None for a type whose price is not known here."""
    price = USD_PER_HOUR.get(config.training_instance_type)
    return None if price is None else price * config.training_instance_count


def break_even_images(config: StageConfig) -> float | None:
    """In a month: with fewer images a function costs less than the instances of an endpoint; None if these have no
    known price. A function costs nothing while nobody asks, and instances cost what they cost.
    """
    usd_per_hour = config.model_copy(update={"serving": "endpoint"}).endpoint_usd_per_hour
    if usd_per_hour is None:
        return None
    return usd_per_hour * HOURS_PER_MONTH / function_usd_per_image(config.function_memory_mb)


def saved(config: StageConfig) -> str:
    """What a pause of the stage saves by the same prices, and what still costs."""
    if config.serving == "lambda":
        return "That saves nothing, as nothing was paid while nobody asked; now nobody can."
    usd_per_hour = config.endpoint_usd_per_hour
    saves = f"what {config.endpoint_instance_type} costs: see {PRICING}"
    if usd_per_hour is not None:
        saves = f"{usd_per_hour:.2f} USD per hour, {usd_per_hour * HOURS_PER_MONTH:.0f} USD in a month"
    return f"That saves {saves}. Buckets, images and logs stay, for under {REST_USD_PER_MONTH} USD per month."


def prices(config: StageConfig) -> str:
    """Idle, active and paused, in USD by the on-demand prices of us-east-1: per hour, and per month what stays on."""
    if config.serving == "lambda":
        return _of_function(config)
    endpoint, training = config.endpoint_usd_per_hour, training_usd_per_hour(config)
    idle = active = f"{config.endpoint_instance_type}: see {PRICING}"
    if endpoint is not None:
        idle = f"{endpoint:.2f} USD per hour, {endpoint * HOURS_PER_MONTH:.0f} USD per month"
        active = f"{config.training_instance_type}: see {PRICING}"
        if training is not None:
            active = f"{endpoint + training:.2f} USD per hour"
    most = f", up to {config.autoscaling_max_instances} by load" if config.autoscaling else ""
    spot = ", as spot capacity for less" if config.spot else ""
    serving = f"{config.endpoint_instance_count} x {config.endpoint_instance_type}"
    learning = f"{config.training_instance_count} x {config.training_instance_type}"
    rows = [
        ("idle", idle, f"{serving}{most}, until the endpoint is removed"),
        ("active", active, f"and {learning} while a training runs{spot}"),
        ("paused", f"under {REST_USD_PER_MONTH} USD per month", "without the endpoint: buckets, images and logs stay"),
    ]
    return _written(rows, _break_even(config))


def _of_function(config: StageConfig) -> str:
    """The same of a stage without instances."""
    memory_mb, training = config.function_memory_mb, training_usd_per_hour(config)
    usd_per_hour = 3600 * function_usd_per_s(memory_mb)
    at_once = config.function_concurrency or config.throttling_burst
    active = f"{config.training_instance_type}: see {PRICING}" if training is None else f"{training:.2f} USD per hour"
    rest = f"under {REST_USD_PER_MONTH} USD per month"
    rows = [
        ("idle", rest, "nothing for the model: buckets, images and logs"),
        (
            "asked",
            f"{1_000_000 * function_usd_per_image(memory_mb):.2f} USD per million images",
            f"of a ViT-B/32, by the time of a function of {memory_mb:,} MB, estimated; {usd_per_hour:.2f} USD per hour "
            f"for each that runs, {at_once * usd_per_hour:.2f} USD while {at_once} do",
        ),
        ("active", active, "while a training runs"),
        ("paused", rest, "and nobody can ask"),
    ]
    return _written(rows, _break_even(config))


def _break_even(config: StageConfig) -> str:
    """From where on instances are cheaper, in a sentence."""
    instances = f"{config.endpoint_instance_count} x {config.endpoint_instance_type}"
    images = break_even_images(config)
    if images is None:
        return ""
    here, there = ("serving=endpoint", "more") if config.serving == "lambda" else ("serving=lambda", "fewer")
    return (
        f"With {there} than about {images / 1_000_000:.0f} million images a month {here} costs less "
        f"({instances} against a function, by an estimate for a ViT-B/32: docs/operate.md, Without instances)."
    )


def _written(rows: Sequence[tuple[str, str, str]], beside: str) -> str:
    table = "\n".join(f"  {name:<7} {cost:<42}  {what}" for name, cost, what in rows)
    return "\n".join(filter(None, ("It costs (on demand in us-east-1):", table, beside)))
