"""Limits, timeouts and header names that the API and the containers share, each written once."""

MAX_INLINE_IMAGE_BYTES = 4 * 1024 * 1024
"""Images sent through the API, all of one request together: Lambda takes 6 MB, and base64 costs a third of that."""
MAX_INVOCATION_BYTES = 24_000_000
"""Images that reach the container in one invocation, when the Lambda reads them from the bucket (`s3_key`)."""
MAX_ANSWER_BYTES = 6_000_000
"""One response with its escapes: Lambda hands back 6 MB, the headers included."""
MAX_IMAGE_PIXELS = 50_000_000
MAX_REQUEST_PIXELS = 4 * MAX_IMAGE_PIXELS
"""Decoded for one request, all of its images together; of a large JPEG those that are left when it is decoded small."""
MAX_IMAGE_ASPECT_RATIO = 100
"""The shorter side is scaled to the model's input, so a strip of 1 x 50,000 pixels would ask for gigabytes."""
MAX_IMAGES = 64
MAX_LABELS = 10_000
MAX_PROMPTS = 20_000
"""Sentences to embed: every annotation, and for a label without annotations one per hypothesis template."""
MAX_TEMPLATES = 1_000
"""The largest sets that are known, such as those of CLIP's authors for ImageNet, have 80."""
MAX_PROMPT_CHARS = 2_000
"""A template whose places are all filled with a label. Both at their longest just fit, if there is one place."""
MAX_SCORES = 50_000
"""Scores answered in one response: images x labels, or images x top_k."""
MAX_TASKS = 32
MAX_TEXTS = 500
"""Texts to embed: as vectors of 768 numbers they just fit into MAX_ANSWER_BYTES."""
MAX_TEXT_CHARS = 1_000
MAX_TASK_NAME_CHARS = 63

# Entries of a list that are answered at once; `after` asks for those behind them.
MAX_LISTED_TASKS = 100
MAX_LISTED_ANNOTATIONS = 100
MAX_LISTED_TRAININGS = 50
MAX_LISTED_BATCHES = 50
MAX_LISTED_SHARDS = 100
"""Of a batch, whose files are named by one GET /batches/{batch}/files."""

MAX_REPORTED_TASKS = 24
"""Of one kind, by a training."""
MAX_TAUGHT_LABELS = 1_000
"""Of a task that annotated images teach."""
MAX_TAUGHT_IMAGES = 4_000
"""That teach one task; of more a sample does."""
MAX_TAUGHT_SCORES = 500_000
"""Images x labels of one lesson, which takes 3 seconds of a core with so many at width 512, 6 and 600 MB at 1,280."""
MAX_EMBEDDING_NUMBERS = 4_096
"""Of one image. The largest CLIPs that are known have 1,280."""
MAX_HEAD_BYTES = 16_000_000
"""One head: 1,000 labels of the largest known CLIP take 5 MB, and how images differ 7 more."""

# What is refused before it is built: a few bytes of JSON become a hundred in memory.
MAX_JSON_ITEMS = 250_000
"""Values in one JSON text, give or take the commas and brackets in its strings."""
MAX_FIELDS = 100
"""Of one JSON object, where its names are ours; a mistake in each would be told otherwise."""
MAX_FORM_PARTS = 1_000
MAX_PART_HEAD_BYTES = 8_192
"""The headers of one part of a form."""
MAX_DETAIL_CHARS = 2_000
"""A problem's sentence. It is told twice, and JSON may write a character as twelve: 48 kB."""

UPLOADS_PREFIX = "uploads/"
"""Where in the data bucket an `s3_key` may point."""
MAX_S3_KEY_BYTES = 1024

# The timeout ladder. Each step gives up before the one that waits for it, so that a caller hears our sentence and not
# a gateway's. What other calls of a request have taken comes off the model's time: the container is told until when its
# answer is waited for (lambdas/web/resolver.py).
CONTAINER_TIMEOUT_S = 20
SDK_CONNECT_TIMEOUT_S = 2
SDK_READ_TIMEOUT_S = 22
"""Of an invocation of the model."""
SDK_MAX_ATTEMPTS = 1
"""The same: the SDK would repeat what timed out, and the model would do the work twice."""
SERVICE_READ_TIMEOUT_S = 3
"""Of any other call, such as of S3, in a function that a caller waits for."""
SERVICE_MAX_ATTEMPTS = 3
WORKER_READ_TIMEOUT_S = 20
"""The same in a function that a state machine waits for, which gives up later than a pause of the service ends."""
WORKER_MAX_ATTEMPTS = 4
LAMBDA_TIMEOUT_S = 27
API_TIMEOUT_S = 29

API_KEY_HEADER = "x-api-key"
MODEL_VERSION_HEADER = "x-model-version"
REQUEST_ID_HEADER = "x-request-id"
SERVER_TIMING_HEADER = "server-timing"
TASK_VERSION_HEADER = "x-task-version"
WARNING_HEADER = "warning"
EXPOSED_HEADERS = (
    *(MODEL_VERSION_HEADER, TASK_VERSION_HEADER, REQUEST_ID_HEADER, SERVER_TIMING_HEADER, WARNING_HEADER),
    *("etag", "location", "retry-after"),
)
"""What scripts of other origins may read of a response."""
PROBLEM_MEDIA_TYPE = "application/problem+json"

CUSTOM_ATTRIBUTES_HEADER = "X-Amzn-SageMaker-Custom-Attributes"
"""The one header that InvokeEndpoint carries both ways; at most 1024 visible ASCII characters."""
MAX_CUSTOM_ATTRIBUTES_CHARS = 1024
