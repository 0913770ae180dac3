import { command, Exit } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { connectionFlags } from "../../lib/cli/connection.ts";
import { list, parsed, UsageError } from "../../lib/cli/flags.ts";
import {
  greet,
  helloArguments,
  localAddress,
  parseAppListener,
  parseHelloArguments,
} from "../../lib/appctrl/hello.ts";
import { fillListeners, runApplication } from "../../lib/appctrl/run.ts";
import { Endpoint, parseHost } from "../../lib/protocol/endpoint.ts";

export default command({
  name: "run",
  summary: "Say hello with an application's real ports, then run it",
  details:
    `A consumer finds the session's listeners in its arguments, where {listener}, {listener2},
… stand ({host} and {port} are its parts), and in SCISTREAM_LISTENERS. For a producer
they are its own addresses, as they were told. Signals are passed on, and the exit code
is the application's.`,
  flags: {
    listen: list("where a producer's application listens: PORT, or HOST:PORT", parseAppListener, {
      value: "PORT,…",
      default: "",
    }),
    ip: parsed(
      "the application's address; that from which it reaches the control server if not given",
      parseHost,
      {
        value: "IP",
      },
    ),
    ...connectionFlags,
  },
  needs: [...CLIENT_POWERS, "run"],
  args: helloArguments,
  rest: { name: "COMMAND …", help: "the application and its arguments" },
  examples: [
    "appctrl run UID 192.168.10.11:5007 TOKEN PROD --listen 5001 -- iperf3 -s -p 5001",
    "appctrl run UID 192.168.30.10:5007 TOKEN CONS -- iperf3 -c {host} -p {port} -t 10",
  ],
  async run(line, io) {
    const { options, args, rest } = line;
    const target = await parseHelloArguments(args, io);
    if (rest.length === 0) {
      throw new UsageError("missing the application: appctrl run … -- COMMAND");
    }
    const producer = target.role === "PROD";
    if (producer && options.listen.length === 0) {
      throw new UsageError("a producer needs --listen PORT,…: where does the application listen?");
    }
    let own: Endpoint[] = [];
    if (producer) {
      const ip = options.ip ?? await localAddress(target.s2cs);
      own = options.listen.map(({ host, port }) => new Endpoint(host ?? ip, port));
      // A placeholder that cannot be filled is found before anybody is told anything.
      for (const word of rest) fillListeners(word, own);
    }
    const { listeners } = await greet(target, own, line, io);
    const app = { command: rest, listeners: producer ? own : listeners };
    const code = await runApplication(app, io.release);
    if (code === 127) io.err(`cannot start ${rest[0]}: no such program`);
    return code === 0 ? Exit.OK : code;
  },
});
