"""The Lambda functions: what stands between API Gateway and the model."""

import gc

# A function imports some 60,000 objects that stay. By default Python looks through them for garbage a hundred times
# while it does so, all of them more than once: a tenth of a cold start, for nothing.
gc.set_threshold(50_000)
