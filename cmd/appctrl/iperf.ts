import { command } from "../../lib/cli/command.ts";
import { runApplication } from "../../lib/appctrl/run.ts";
import { Endpoint, parsePort } from "../../lib/protocol/endpoint.ts";

/** Runs an iperf3 server. */
export const iperfServer = command({
  name: "iperf-server",
  summary: "Run an iperf3 server",
  flags: {},
  needs: ["env", "run"],
  args: [{ name: "PORT", help: "where it listens", default: "7000" }],
  run({ args }, io) {
    const port = parsePort(args.PORT ?? "");
    return runApplication(
      { command: ["iperf3", "-s", "-p", String(port)], listeners: [] },
      io.release,
    );
  },
});

/** Runs an iperf3 client. */
export const iperfClient = command({
  name: "iperf-client",
  summary: "Run an iperf3 client against a listener",
  flags: {},
  needs: ["env", "run"],
  args: [{ name: "TARGET", help: "HOST:PORT of the server", default: "127.0.0.1:7000" }],
  run({ args }, io) {
    const listeners = [Endpoint.parse(args.TARGET ?? "", "target")];
    return runApplication(
      { command: ["iperf3", "-c", "{host}", "-p", "{port}"], listeners },
      io.release,
    );
  },
});
