import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { connectionFlags } from "../../lib/cli/connection.ts";
import { list } from "../../lib/cli/flags.ts";
import {
  greet,
  helloArguments,
  parseAppListener,
  parseHelloArguments,
} from "../../lib/appctrl/hello.ts";
import { runApplication } from "../../lib/appctrl/run.ts";
import { Endpoint, parseHost } from "../../lib/protocol/endpoint.ts";

export default command({
  name: "create-appctrl",
  summary: "Say hello, then run the reference's application: iperf3",
  details:
    `PROD runs an iperf3 server on the first port, CONS an iperf3 client against the session's
first listener.`,
  flags: {
    ports: list("the application's ports, or HOST:PORT", parseAppListener, {
      value: "PORT,…",
      default: "7000,17000,27000,37000,47000",
    }),
    ...connectionFlags,
  },
  needs: [...CLIENT_POWERS, "run"],
  args: [...helloArguments, {
    name: "IP",
    help: "the application's address",
    default: "127.0.0.1",
  }],
  examples: ["appctrl create-appctrl UID 10.133.137.2:5000 TOKEN PROD 10.133.139.2"],
  async run(line, io) {
    const { options, args } = line;
    const target = await parseHelloArguments(args, io);
    const ip = parseHost(args.IP ?? "", "application's address");
    const own = options.ports.map(({ host, port }) => new Endpoint(host ?? ip, port));
    const producer = target.role === "PROD";
    const { message, listeners } = await greet(target, producer ? own : [], line, io);
    io.err(message);
    const command = producer
      ? ["iperf3", "-s", "-p", String(own[0]?.port)]
      : ["iperf3", "-c", "{host}", "-p", "{port}"];
    return await runApplication({ command, listeners: producer ? own : listeners }, io.release);
  },
});
