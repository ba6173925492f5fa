"""Why a stage is not as it should be."""

from operate.stage import Stage


def report(stage: Stage) -> str:
    """What CloudFormation says of every stack of the stage, in lines."""
    lines = []
    for name in stage.stack_names:
        for event in stage.connect("cloudformation").describe_stack_events(StackName=name)["StackEvents"]:
            if event["ResourceStatus"].endswith("_FAILED"):
                lines.append(f"{name}: {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}")
    return "\n".join(lines)
