"""Exit 0 when GET /healthz on this container's port (the argument) answers 200. Standard library: quick to start."""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=3)
connection.request("GET", "/healthz")
sys.exit(connection.getresponse().status != 200)
