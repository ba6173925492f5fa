"""The function that teaches saved tasks what annotated images say, without a training.

The endpoint is named, not referred to: it is deployed after this stack, in which promotions need the function, too.
"""

from constructs import Construct

from contract.annotations import ANNOTATIONS_PREFIX, IMAGES_PREFIX
from contract.endpoint import ENDPOINT_PREFIX
from contract.questions import TASKS_PREFIX
from contract.taught import EMBEDDINGS_PREFIX, HEADS_PREFIX, TAUGHT_PREFIX
from lambdas.settings import TeachSettings
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.serving.model import allow_asking, model_name

TEACH_TIMEOUT_S = 900
"""As long as Lambda allows: after a promotion a worker looks at all annotated images anew."""


def teach_function(scope: Construct, config: StageConfig, data: DataStack) -> HandlerFunction:
    """May read tasks, annotations and their images, ask one endpoint, and keep vectors and what tasks have learnt."""
    environment = TeachSettings(endpoint_name=model_name(scope, config), data_bucket=data.data.bucket_name).to_env()
    function = HandlerFunction(
        scope, "TeachFunction", config, "teach", environment, "teaches saved tasks", timeout_s=TEACH_TIMEOUT_S
    )
    may = function.permissions
    read = (TASKS_PREFIX, ANNOTATIONS_PREFIX, IMAGES_PREFIX, EMBEDDINGS_PREFIX, TAUGHT_PREFIX, ENDPOINT_PREFIX)
    may.allow_objects(data.data, ["s3:GetObject"], *read)
    may.allow_objects(data.data, ["s3:PutObject"], EMBEDDINGS_PREFIX, HEADS_PREFIX, TAUGHT_PREFIX)
    may.allow_objects(data.data, ["s3:DeleteObjectVersion"], EMBEDDINGS_PREFIX, HEADS_PREFIX)
    may.allow(["s3:ListBucket", "s3:ListBucketVersions"], data.data.bucket_arn)
    allow_asking(may, config)
    return function
