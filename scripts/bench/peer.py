"""The C-core gRPC library as a server and as a client of the Control service, for comparison.

    peer.py serve CERT KEY           a server that keeps the reference protocol's books and no more
    peer.py drive ADDRESS CERT N     sets up N sessions, prints the milliseconds of each as JSON
"""
import json
import sys
import threading
import time
import uuid
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

STRING, INT32 = 9, 5
# Contract section 2: name -> [(field, number, type, repeated)]
MESSAGES = {
    "Request": [("uid", 1, STRING, 0), ("role", 2, STRING, 0), ("num_conn", 3, INT32, 0),
                ("rate", 4, INT32, 0)],
    "UpdateTargets": [("uid", 1, STRING, 0), ("remote_listeners", 2, STRING, 1),
                      ("role", 3, STRING, 0)],
    "Release": [("uid", 1, STRING, 0)],
    "Hello": [("uid", 1, STRING, 0), ("prod_listeners", 2, STRING, 1), ("role", 3, STRING, 0)],
    "Response": [("listeners", 1, STRING, 1), ("prod_listeners", 2, STRING, 1)],
    "AppResponse": [("message", 1, STRING, 0), ("listeners", 2, STRING, 1)],
}
METHODS = {"req": ("Request", "Response"), "update": ("UpdateTargets", "Response"),
           "release": ("Release", "Response"), "hello": ("Hello", "AppResponse")}


def classes():
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package="scistream",
                                              syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            message.field.add(name=field, number=number, type=kind, label=3 if repeated else 1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName("scistream." + name))
            for name in MESSAGES}


TYPES = classes()


class Books:
    """Sessions as the reference keeps them, without ports or data servers."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sessions = {}

    def session(self, uid):
        with self.lock:
            return self.sessions.setdefault(uid, {"hello": threading.Event(), "prod": []})

    def req(self, request, _context):
        session = self.session(request.uid)
        session["listeners"] = ["127.0.0.1:%d" % (5100 + i) for i in range(request.num_conn)]
        session["hello"].wait(180)
        return TYPES["Response"](listeners=session["listeners"], prod_listeners=session["prod"])

    def hello(self, request, _context):
        session = self.session(request.uid)
        session["prod"] = list(request.prod_listeners)
        session["hello"].set()
        return TYPES["AppResponse"](message="Sending Prod listeners...")

    def update(self, request, _context):
        session = self.session(request.uid)
        targets = list(request.remote_listeners)
        session["targets"] = [targets[i % len(targets)]
                              for i in range(len(session["listeners"]))]
        return TYPES["Response"](listeners=session["listeners"],
                                 prod_listeners=session["targets"])

    def release(self, request, _context):
        with self.lock:
            self.sessions.pop(request.uid, None)
        return TYPES["Response"]()


def serve(cert, key):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    books = Books()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("scistream.Control", {
        method: grpc.unary_unary_rpc_method_handler(
            getattr(books, method),
            request_deserializer=TYPES[asked].FromString,
            response_serializer=TYPES[answered].SerializeToString,
        ) for method, (asked, answered) in METHODS.items()
    }),))
    chain = (open(key, "rb").read(), open(cert, "rb").read())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([chain]))
    server.start()
    print("listening on 127.0.0.1:%d" % port, flush=True)
    server.wait_for_termination()


def drive(address, cert, count):
    credentials = grpc.ssl_channel_credentials(open(cert, "rb").read())
    channel = grpc.secure_channel(address, credentials)
    call = {method: channel.unary_unary(
        "/scistream.Control/" + method,
        request_serializer=TYPES[asked].SerializeToString,
        response_deserializer=TYPES[answered].FromString,
    ) for method, (asked, answered) in METHODS.items()}
    targets = ["127.0.0.1:%d" % port for port in (5074, 5075, 5076, 37000, 47000)]
    samples = []
    for _ in range(count):
        uid = str(uuid.uuid4())
        start = time.perf_counter()
        pending = call["req"].future(TYPES["Request"](uid=uid, role="PROD", num_conn=5))
        call["hello"](TYPES["Hello"](uid=uid, role="PROD", prod_listeners=targets))
        pending.result()
        call["update"](TYPES["UpdateTargets"](uid=uid, role="PROD", remote_listeners=targets))
        samples.append((time.perf_counter() - start) * 1000)
        call["release"](TYPES["Release"](uid=uid))
    print(json.dumps(samples), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        drive(sys.argv[2], sys.argv[3], int(sys.argv[4]))
