"""What a stage costs by its configuration: idle, active and without its endpoint."""

from stacks.config import HOURS_PER_MONTH, USD_PER_HOUR, StageConfig

REST_USD_PER_MONTH = 2
"""Below that stay buckets, images, alarms and logs of a stage that nobody uses, by list prices."""

PRICING = "https://aws.amazon.com/sagemaker/ai/pricing"


def prices(config: StageConfig) -> str:
    """Idle, active and paused: per hour and month, in USD, by the on-demand prices of us-east-1."""
    serving = (config.endpoint_instance_type, config.endpoint_instance_count)
    training = (config.training_instance_type, config.training_instance_count)
    most = f", up to {config.autoscaling_max_instances} by load" if config.autoscaling else ""
    spot = ", as spot capacity for less" if config.spot else ""
    rows = [
        ("idle", _cost(serving), f"{_named(serving)}{most}, until the endpoint is removed"),
        ("active", _cost(serving, training), f"and {_named(training)} while a training runs{spot}"),
        ("paused", f"under {REST_USD_PER_MONTH} USD per month", "without the endpoint: buckets, images and logs stay"),
    ]
    return "It costs (on demand in us-east-1):\n" + "\n".join(
        f"  {name:<7} {cost:<42}  {what}" for name, cost, what in rows
    )


def _named(instances: tuple[str, int]) -> str:
    return f"{instances[1]} x {instances[0]}"


def _cost(*instances: tuple[str, int]) -> str:
    if unknown := [type for type, _ in instances if type not in USD_PER_HOUR]:
        return f"{unknown[0]}: see {PRICING}"
    usd_per_hour = sum(count * USD_PER_HOUR[type] for type, count in instances)
    return f"{usd_per_hour:.2f} USD per hour, {usd_per_hour * HOURS_PER_MONTH:.0f} USD per month"
