"""What a stage costs by its configuration: idle, active and without its endpoint."""

from stacks.config import StageConfig
from stacks.prices import USD_PER_HOUR

HOURS_PER_MONTH = 730

REST_USD_PER_MONTH = 4
"""Below that stay buckets, images, alarms and logs of a stage that nobody uses, by list prices: an alarm costs 0.10 for
each metric that it looks at, the first ten of an account nothing. An account's first three dashboards cost nothing.
https://aws.amazon.com/cloudwatch/pricing
"""

PRICING = "https://aws.amazon.com/sagemaker/ai/pricing"


def endpoint_usd_per_hour(config: StageConfig) -> float | None:
    """Of the endpoint's instances, on demand in us-east-1; None for a type whose price is not known here."""
    return _usd_per_hour(config.endpoint_instance_type, config.endpoint_instance_count)


def training_usd_per_hour(config: StageConfig) -> float | None:
    """Of one training job's instances, likewise."""
    return _usd_per_hour(config.training_instance_type, config.training_instance_count)


def saved(config: StageConfig) -> str:
    """What a pause of the stage saves by the same prices, and what still costs."""
    usd_per_hour = endpoint_usd_per_hour(config)
    saves = f"what {config.endpoint_instance_type} costs: see {PRICING}"
    if usd_per_hour is not None:
        saves = f"{usd_per_hour:.2f} USD per hour, {usd_per_hour * HOURS_PER_MONTH:.0f} USD in a month"
    return f"That saves {saves}. Buckets, images and logs stay, for under {REST_USD_PER_MONTH} USD per month."


def _usd_per_hour(instance_type: str, count: int) -> float | None:
    price = USD_PER_HOUR.get(instance_type)
    return None if price is None else price * count


def prices(config: StageConfig) -> str:
    """Idle, active and paused, in USD by the on-demand prices of us-east-1: per hour, and per month what stays on."""
    endpoint, training = endpoint_usd_per_hour(config), training_usd_per_hour(config)
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
    return "It costs (on demand in us-east-1):\n" + "\n".join(
        f"  {name:<7} {cost:<42}  {what}" for name, cost, what in rows
    )
