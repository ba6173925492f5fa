"""Whether an account may run what a stage asks for: instances of SageMaker's, and functions."""

from collections.abc import Iterator, Mapping
from typing import Any

from operate.findings import Finding
from operate.stage import Site

LAMBDA_CONCURRENCY, DEFAULT_CONCURRENCY, NEW_ACCOUNTS_CONCURRENCY = "L-B99A9384", 1000, 10
UNRESERVED = 100
"""How many Lambda insists on leaving to functions for which none are kept aside."""
MEMORY_MB_IN_NEW_ACCOUNTS = 3008
"""As their owners report; no quota of Service Quotas' tells it."""


def quotas(site: Site) -> Iterator[Finding]:
    """Whether the account may run the stage's instances."""
    config = site.config
    serving, training = config.endpoint_instance_type, config.training_instance_type
    kind = "spot training job" if config.spot else "training job"
    for_endpoint, for_training = f"{serving} for endpoint usage", f"{training} for {kind} usage"
    has_instances = config.serving == "endpoint"
    found = _quotas(site.ask("service-quotas"), {for_training, *([for_endpoint] if has_instances else [])})
    if has_instances:
        yield from _of_endpoint(site, found, for_endpoint)
    count = config.training_instance_count * config.max_parallel_trainings
    of_training = f"{count} are needed to train: the deployment works without, POST /trainings does not"
    yield _enough(site, found, for_training, count, "warning", "training_instance_type", of_training)


def _of_endpoint(site: Site, found: Mapping[str, Mapping[str, Any]], for_endpoint: str) -> Iterator[Finding]:
    config = site.config
    count = 2 * config.endpoint_instance_count
    value = found.get(for_endpoint, {}).get("Value", 0)
    why = "an update runs the new instances beside the old ones"
    is_first = count > value >= count / 2 and not site.stage.physical_ids("Serving", "AWS::SageMaker::Endpoint")
    level = "warning" if is_first else "failure"
    yield _enough(site, found, for_endpoint, count, level, "endpoint_instance_type", f"{count} are needed: {why}")
    if config.autoscaling and value >= count:
        most = 2 * config.autoscaling_max_instances
        of_load = f"{most} are needed at full load: {why}"
        yield _enough(site, found, for_endpoint, most, "warning", "autoscaling_max_instances", of_load)


def _quotas(client: Any, names: set[str]) -> dict[str, Mapping[str, Any]]:
    """By name; one that was never changed may be among the defaults only. What is not there is not offered here."""
    found: dict[str, Mapping[str, Any]] = {}
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        pages = client.get_paginator(operation).paginate(ServiceCode="sagemaker", PaginationConfig={"PageSize": 100})
        for page in pages:
            found = {each["QuotaName"]: each for each in page["Quotas"] if each["QuotaName"] in names} | found
            if found.keys() == names:
                return found
    return found


def _enough(
    site: Site, found: Mapping[str, Any], name: str, needed: int, otherwise: Any, knob: str, why: str
) -> Finding:
    if name not in found:
        return Finding(
            otherwise,
            f'{site.region} has no quota "{name}", so SageMaker does not offer it there',
            f"another region, or another type by {knob}",
        )
    value = found[name]["Value"]
    if value >= needed:
        return Finding("ok", f'the quota "{name}" is {value:g}')
    zero = "0 in this account, as in every new one" if value == 0 else f"{value:g}"
    return Finding(
        otherwise,
        f'the quota "{name}" is {zero}, and {why}',
        _increase(site, "sagemaker", found[name]["QuotaCode"], needed),
    )


def _increase(site: Site, service: str, code: str, value: int) -> str:
    return (
        f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} "
        f"--desired-value {value} --region {site.region}"
    )


def concurrency(site: Site) -> Iterator[Finding]:
    """Whether Lambda may run as many functions at once as the API lets callers come."""
    # In force, which in new accounts may be less than Service Quotas tells.
    limit = site.ask("lambda").get_account_settings()["AccountLimit"]
    most = limit["ConcurrentExecutions"]
    config = site.config
    wanted = config.throttling_burst + config.batch_concurrency
    if config.serving == "lambda":
        wanted *= 2  # one asks, and one is the model
        yield from _of_function(site, limit.get("UnreservedConcurrentExecutions", most))
    if most >= wanted:
        yield Finding("ok", f"Lambda runs {most} functions at once")
        return
    all_of_it = ", and one import and one batch take all of it" if most <= NEW_ACCOUNTS_CONCURRENCY else ""
    yield Finding(
        "warning",
        f"Lambda runs {most} functions of this account at once, few as in new accounts: callers will be "
        f"throttled, for the stage's throttling_burst and batch_concurrency let {wanted} come{all_of_it}",
        _increase(site, "lambda", LAMBDA_CONCURRENCY, DEFAULT_CONCURRENCY),
    )


def _of_function(site: Site, unreserved: int) -> Iterator[Finding]:
    """Whether Lambda makes the model's function."""
    config = site.config
    if config.function_memory_mb > MEMORY_MB_IN_NEW_ACCOUNTS:
        text = (
            f"function_memory_mb is {config.function_memory_mb}, and new accounts are said to get no more than "
            f"{MEMORY_MB_IN_NEW_ACCOUNTS}: if the deployment fails by that, ask AWS's support for more, or take less"
        )
        yield Finding("note", text)
    is_there = config.name in site.stage.physical_ids("Serving", "AWS::Lambda::Function").values()
    if config.function_concurrency and not is_there and unreserved - config.function_concurrency < UNRESERVED:
        text = (
            f"function_concurrency is {config.function_concurrency}, and Lambda has {unreserved} to give, of which "
            f"{UNRESERVED} have to stay: it refuses to make the function"
        )
        yield Finding("failure", text, "leave function_concurrency out, or ask for more concurrency as said below")
