/**
 * The reference's ZeroMQ test application: a publisher and a subscriber.
 * @module
 */
import * as zmq from "zeromq";

/** The publisher's last message. */
export const STOP = "NASDA:STOP";

/** Publishes `count` numbered messages, `intervalMs` apart, then {@linkcode STOP}. */
export async function publish(
  port: number,
  options: { count: number; intervalMs: number; signal: AbortSignal },
): Promise<void> {
  const socket = new zmq.Publisher({ linger: 5_000 });
  await socket.bind(`tcp://*:${port}`);
  try {
    for (let index = 0; index < options.count && !options.signal.aborted; index++) {
      await tick(options.intervalMs, options.signal);
      const time = new Date().toTimeString().slice(0, 8);
      await socket.send(
        `NASDA:${String(index).padStart(4, "0")}th message from publisher @ ${time}`,
      );
    }
    await socket.send(STOP);
  } finally {
    const delivered = ended(socket);
    socket.close();
    await delivered;
  }
}

/**
 * Resolves once a closed socket has sent what it holds, or its linger time is over. `close` returns
 * at once, and a process that exits then takes the last messages along.
 */
async function ended(socket: zmq.Publisher): Promise<void> {
  for await (const event of socket.events) if (event.type === "end") return;
}

/** Subscribes to everything at `target` until {@linkcode STOP}; answers how many messages came before it. */
export async function subscribe(
  target: string,
  options: { signal: AbortSignal; onMessage: (text: string) => void },
): Promise<number> {
  const socket = new zmq.Subscriber();
  socket.connect(`tcp://${target}`);
  socket.subscribe();
  const stop = () => socket.close();
  options.signal.addEventListener("abort", stop, { once: true });
  let count = 0;
  try {
    for await (const [frame] of socket) {
      const text = new TextDecoder().decode(frame);
      if (text === STOP) break;
      count++;
      options.onMessage(text);
    }
  } finally {
    options.signal.removeEventListener("abort", stop);
    socket.close();
  }
  options.signal.throwIfAborted();
  return count;
}

/** The publisher's pace is its task, not a wait for something. */
function tick(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
