"""One request to the server on this machine's own port, its body sent as it is read. Run by a container's Python.

python client.py PORT LENGTH     LENGTH bytes on stdin; says "sent N" of each part and then gives the answer as JSON
"""

import http.client
import json
import os
import sys
import time


def connect(timeout_s: float) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=timeout_s)


def is_healthy() -> bool:
    pinging = connect(timeout_s=2)
    try:
        pinging.request("GET", "/ping")
        return pinging.getresponse().status == 200
    except OSError:
        return False


deadline_s = time.monotonic() + 120
while not is_healthy():
    if time.monotonic() > deadline_s:
        sys.exit("/ping has not answered with 200 for two minutes")
    time.sleep(0.1)
asking, left = connect(timeout_s=60), int(sys.argv[2])
asking.putrequest("POST", "/invocations")
asking.putheader("content-type", "application/json")
asking.putheader("content-length", str(left))
asking.endheaders()
while left > 0:
    part = os.read(sys.stdin.fileno(), left)
    if not part:
        sys.exit(f"the last {left} bytes were not given")
    asking.send(part)
    left -= len(part)
    print("sent", len(part), flush=True)
response = asking.getresponse()
attributes = response.getheader("x-amzn-sagemaker-custom-attributes")
print(json.dumps({"status": response.status, "attributes": attributes, "body": json.loads(response.read())}))
