"""Every Prometheus series of the platform, in one file."""

from prometheus_client import Counter, Gauge, Histogram

HTTP_REQUESTS = Counter(
    "hypercode_http_requests", "Requests that the gateway answered.", ["method", "route", "status"]
)
HTTP_REQUEST_SECONDS = Histogram(
    "hypercode_http_request_seconds", "Time to the first byte of the answer.", ["method", "route"]
)
STREAMS_OPEN = Gauge("hypercode_streams_open", "Event streams open in the gateway.", ["kind"])
SIGN_INS = Counter("hypercode_sign_ins", "Sign-ins by outcome.", ["outcome"])
MCP_CALLS = Counter("hypercode_mcp_calls", "Tool calls by tool and result code.", ["tool", "code"])
MCP_CALL_SECONDS = Histogram("hypercode_mcp_call_seconds", "How long tool calls took.", ["tool"])
MCP_CALLS_IN_FLIGHT = Gauge("hypercode_mcp_calls_in_flight", "Tool calls going on now.")
