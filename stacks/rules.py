"""The rules that every synthesized template must pass, beside the library's own; a finding fails synth with a sentence.

cdk-preflight has rules for what CloudFormation and the services refuse although it is valid by the schema, seen on AWS
but for a few, which only warn. It has none for SageMaker's models and endpoints: those are in sagemaker.rego, in the
same form.
https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib-readme.html#template-and-policy-validation
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from aws_cdk import App, CloudFormationValidatePlugin, ValidationRuleSource, Validations
from cdk_preflight import Preflight

RULES = Path(__file__).with_name("sagemaker.rego")


def check_with_rules(app: App, environ: Mapping[str, str] = os.environ) -> None:
    """Run the rules when `app` is synthesized.

    CDK's own switch turns them off with the library's: `--no-validation`, which is `CDK_VALIDATION=false`. Local mode
    does so, since they take as long as the synth itself.
    """
    if environ.get("CDK_VALIDATION") == "false":
        return
    Validations.of(app).add_plugins(_library_with_ours())
    Preflight.apply(app)


@cache
def _library_with_ours() -> CloudFormationValidatePlugin:
    """The library's rules and those of sagemaker.rego. One for all apps of a process: making it takes seconds."""
    ours = ValidationRuleSource(name=RULES.name, content=RULES.read_text())
    return CloudFormationValidatePlugin(rego_rules=[ours])
