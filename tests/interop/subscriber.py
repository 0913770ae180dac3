"""Prints everything that the publisher at HOST:PORT sends, up to and with NASDA:STOP."""
import sys

import zmq

socket = zmq.Context.instance().socket(zmq.SUB)
socket.setsockopt(zmq.RCVTIMEO, 10_000)
# The publisher does not wait for subscribers: be there soon after it listens.
socket.setsockopt(zmq.RECONNECT_IVL, 5)
socket.subscribe(b"")
socket.connect(f"tcp://{sys.argv[1]}")
print("subscribing", flush=True)
text = ""
while text != "NASDA:STOP":
    text = socket.recv_string()
    print(text, flush=True)
socket.close(0)
