import { command, Exit } from "../../lib/cli/command.ts";
import { integer } from "../../lib/cli/flags.ts";
import { Endpoint, parsePort } from "../../lib/protocol/endpoint.ts";

/** Publishes the reference's test messages. */
export const runProducer = command({
  name: "run-producer",
  summary: "Publish test messages over ZeroMQ, then NASDA:STOP",
  flags: {
    count: integer("messages", { default: "3600", least: 0, most: 1_000_000_000 }),
    interval: integer("milliseconds between them", {
      value: "MS",
      default: "50",
      least: 0,
      most: 3_600_000,
    }),
  },
  needs: ["read", "env", "ffi"],
  args: [{ name: "PORT", help: "where it listens", default: "7000" }],
  async run({ options, args }, io) {
    const port = parsePort(args.PORT ?? "");
    const { publish } = await import("../../lib/appctrl/zmq.ts");
    await publish(port, {
      count: options.count,
      intervalMs: options.interval,
      signal: io.interrupted,
    });
    return Exit.OK;
  },
});

/** Receives them. */
export const subscribe = command({
  name: "subscribe",
  summary: "Receive test messages over ZeroMQ until NASDA:STOP",
  flags: {},
  needs: ["read", "env", "ffi"],
  args: [{ name: "TARGET", help: "HOST:PORT of the publisher", default: "127.0.0.1:7000" }],
  async run({ args }, io) {
    const target = Endpoint.parse(args.TARGET ?? "", "target");
    const zmq = await import("../../lib/appctrl/zmq.ts");
    const count = await zmq.subscribe(String(target), {
      signal: io.interrupted,
      onMessage: io.out,
    });
    io.err(`transfer completed, ${count} messages`);
    return Exit.OK;
  },
});
