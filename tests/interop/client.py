"""A peer's client on grpcio's C core.

Arguments: ADDRESS CERTIFICATE. Every line on stdin starts a call, so several may be pending:
{"n": 1, "method": "req", "message": {…}, "authorization": "…" or null}. Every answer is a line on
stdout: {"n": 1, "response": {…}} or {"n": 1, "error": {"status": …, "details": …, "code": …}}.
"""
import json
import sys
import threading

import grpc
from google.protobuf import json_format

import reference_pb2 as messages
from reference_pb2_grpc import ControlStub

REQUESTS = {
    "req": messages.Request,
    "update": messages.UpdateTargets,
    "release": messages.Release,
    "hello": messages.Hello,
}
printing = threading.Lock()


def say(n, **answer):
    with printing:
        print(json.dumps({"n": n, **answer}), flush=True)


def answered(n, call):
    if call.code() is grpc.StatusCode.OK:
        response = json_format.MessageToDict(
            call.result(), including_default_value_fields=True, preserving_proto_field_name=True
        )
        say(n, response=response)
    else:
        code = dict(call.trailing_metadata() or ()).get("scistream-error-code", "")
        say(n, error={"status": call.code().name, "details": call.details(), "code": code})


def start(stub, n, method, message, authorization):
    metadata = () if authorization is None else (("authorization", authorization),)
    call = getattr(stub, method).future(REQUESTS[method](**message), metadata=metadata)
    call.add_done_callback(lambda done: answered(n, done))


address, certificate = sys.argv[1:]
with open(certificate, "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
with grpc.secure_channel(address, credentials, [("grpc.enable_http_proxy", 0)]) as channel:
    stub = ControlStub(channel)
    for line in sys.stdin:
        start(stub, **json.loads(line))
