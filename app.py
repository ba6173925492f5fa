"""The CDK app: a stage's configuration becomes five stacks.

npx cdk deploy --all -c stage=dev
"""

import sys

from aws_cdk import App, Tags

from contract.settings import SettingsError
from stacks.api.stack import ApiStack
from stacks.data import DataStack
from stacks.nag import check_with_cdk_nag
from stacks.operations import OperationsStack
from stacks.rules import check_with_rules
from stacks.serving.stack import ServingStack
from stacks.stage_files import from_context
from stacks.training.stack import TrainingStack


def build(app: App) -> None:
    """Add the stacks of the stage that the app's context names."""
    config = from_context(app.node.get_all_context())
    data = DataStack(app, config.stack_name("Data"), config=config)
    training = TrainingStack(app, config.stack_name("Training"), config=config, data=data)
    serving = ServingStack(app, config.stack_name("Serving"), config=config, data=data)
    api = ApiStack(app, config.stack_name("Api"), config=config, data=data, training=training, serving=serving)
    stacks = (data, training, serving, api)
    operations = OperationsStack(app, config.stack_name("Operations"), config=config, watched=stacks)
    for stack in (*stacks, operations):
        stack.termination_protection = config.termination_protection
    for key, value in config.tags.items():
        Tags.of(app).add(key, value)
    check_with_rules(app)
    if str(app.node.try_get_context("nag")).lower() == "true":
        check_with_cdk_nag(app)


if __name__ == "__main__":
    app = App()
    try:
        build(app)
    except SettingsError as error:
        sys.exit(f"the configuration is not allowed: {error}")
    app.synth()
