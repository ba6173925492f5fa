"""Whether anybody is told when something of a stage rings, and whether its budget can count what it costs."""

from collections.abc import Iterator

from operate.findings import Finding
from operate.stage import Connect
from stacks.config import StageConfig


def alerts(config: StageConfig, connect: Connect) -> Iterator[Finding]:
    """What a deployment would leave unsaid. Raises ClientError where the account's cost tags may not be looked at.

    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
    """
    if not config.alarm_email:
        says = "alarm_email is empty: what rings is shown on the dashboard, and nobody is told"
        yield Finding("note", says, 'alarm_email = "team@example.com" in the stage\'s file')
    if not config.monthly_budget_usd:
        return
    keys = sorted(config.tags)
    found = connect("ce").list_cost_allocation_tags(TagKeys=keys, Type="UserDefined")["CostAllocationTags"]
    active = {each["TagKey"] for each in found if each["Status"] == "Active"}
    if missing := [key for key in keys if key not in active]:
        wanted = " ".join(f"TagKey={key},Status=Active" for key in missing)
        yield Finding(
            "warning",
            f"the budget of {config.monthly_budget_usd:g} USD counts nothing yet: {' and '.join(missing)} are tags "
            "that are not activated for cost allocation",
            "in the account that pays, a day after the first deployment, when AWS knows the tags: "
            f"aws ce update-cost-allocation-tags-status --cost-allocation-tags-status {wanted}",
        )
    else:
        yield Finding("ok", f"the budget of {config.monthly_budget_usd:g} USD can count by the stage's tags")
