"""Publishes COUNT numbered messages and NASDA:STOP to its first subscriber. Prints `listening PORT`."""
import sys

import zmq

# An XPUB socket is a publisher that is told of subscriptions: nothing is sent before the first.
socket = zmq.Context.instance().socket(zmq.XPUB)
socket.setsockopt(zmq.RCVTIMEO, 10_000)
port = socket.bind_to_random_port("tcp://127.0.0.1")
print(f"listening {port}", flush=True)
subscription = socket.recv()
if subscription != b"\x01":
    sys.exit(f"subscribed to {subscription}")
for index in range(int(sys.argv[1])):
    socket.send_string(f"NASDA:{index:04d}th message from Zürich")
socket.send_string("NASDA:STOP")
socket.close(10_000)
zmq.Context.instance().term()
