"""A control server that behaves as contract section 3 says of the reference, on grpcio's C core.

Arguments: LISTENERS [KEY CERTIFICATE] [--refuse-first-hello]. Prints `listening PORT`, then a JSON
line for every call when it arrives. Nothing listens on what it answers, HOST:FIRST_PORT upwards.

As the reference it answers whatever is wrong with an exception (status UNKNOWN), a hello that is
early too. With --refuse-first-hello the first hello always is: the session comes to exist once it
has arrived, and before it is refused.
"""
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import json_format

import reference_pb2 as messages
from reference_pb2_grpc import ControlServicer, add_ControlServicer_to_server

PATIENCE = 20
printing = threading.Lock()


def say(line):
    with printing:
        print(line, flush=True)


class Session:
    def __init__(self, role, listeners):
        self.role = role
        self.listeners = listeners
        self.prod_listeners = []
        self.hello = threading.Event()


class Control(ControlServicer):
    def __init__(self, listeners, refuse_first_hello):
        self.host, port = listeners.split(":")
        self.first_port = int(port)
        self.sessions = {}
        self.early_hello = threading.Event()
        self.session_exists = threading.Event()
        if not refuse_first_hello:
            self.early_hello.set()
            self.session_exists.set()

    def find(self, method, request, context):
        session = self.sessions.get(request.uid)
        record = {
            "method": method,
            "message": json_format.MessageToDict(
                request, including_default_value_fields=True, preserving_proto_field_name=True
            ),
            "authorization": dict(context.invocation_metadata()).get("authorization"),
        }
        if method != "req" and session is None:
            record["refused"] = True
        say(json.dumps(record))
        return session

    def known(self, method, request, context):
        session = self.find(method, request, context)
        if session is None:
            raise Exception(f"uid {request.uid} not found")
        return session

    def req(self, request, context):
        if self.find("req", request, context):
            raise Exception(f"uid {request.uid} exists")
        if not self.early_hello.wait(PATIENCE):
            raise Exception("no hello was early")
        ports = range(self.first_port, self.first_port + request.num_conn)
        session = Session(request.role, [f"{self.host}:{port}" for port in ports])
        self.sessions[request.uid] = session
        self.session_exists.set()
        if not session.hello.wait(PATIENCE):
            raise Exception("no hello")
        prod_listeners = session.prod_listeners if session.role == "PROD" else []
        return messages.Response(listeners=session.listeners, prod_listeners=prod_listeners)

    def hello(self, request, context):
        try:
            session = self.known("hello", request, context)
        except Exception:
            self.early_hello.set()
            self.session_exists.wait(PATIENCE)
            raise
        session.prod_listeners = request.prod_listeners
        session.hello.set()
        if request.role == "PROD":
            return messages.AppResponse(message="Sending Prod listeners...")
        return messages.AppResponse(message="Sending listeners...", listeners=session.listeners)

    def update(self, request, context):
        session = self.known("update", request, context)
        targets = request.remote_listeners
        in_order = [targets[i % len(targets)] for i in range(len(session.listeners))]
        return messages.Response(listeners=session.listeners, prod_listeners=in_order)

    def release(self, request, context):
        self.known("release", request, context)
        del self.sessions[request.uid]
        return messages.Response()


words = [word for word in sys.argv[1:] if not word.startswith("--")]
server = grpc.server(ThreadPoolExecutor(max_workers=10))
control = Control(words[0], "--refuse-first-hello" in sys.argv)
add_ControlServicer_to_server(control, server)
if len(words) == 1:
    port = server.add_insecure_port("127.0.0.1:0")
else:
    key, certificate = (open(path, "rb").read() for path in words[1:])
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
server.start()
say(f"listening {port}")
server.wait_for_termination()
