"""The Lambda functions: what stands between API Gateway and the model."""

import gc

# A function imports some 100,000 objects that stay. By default Python looks through them for garbage a hundred times
# while it does so, all of them more than once: a tenth of a cold start, for nothing. This is more than it imports, so
# that it looks through none of them before `lambdas.aws.clients` lets it pass them over for good.
gc.set_threshold(150_000)
