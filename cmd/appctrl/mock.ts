import { command, Exit } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { connectionFlags } from "../../lib/cli/connection.ts";
import { list } from "../../lib/cli/flags.ts";
import { jsonLine } from "../../lib/cli/json.ts";
import { jsonFlag } from "../../lib/cli/session_flags.ts";
import {
  greet,
  helloArguments,
  MOCK_PORTS,
  parseAppListener,
  parseHelloArguments,
} from "../../lib/appctrl/hello.ts";
import { Endpoint, parseHost } from "../../lib/protocol/endpoint.ts";

export default command({
  name: "mock",
  summary: "Say hello for an application, and end",
  details: `Tells the control server that the application listens on IP, on the five ports of the
reference's mock or on those of --ports.`,
  flags: {
    ports: list("the application's ports, or HOST:PORT", parseAppListener, {
      value: "PORT,…",
      default: MOCK_PORTS,
    }),
    ...connectionFlags,
    json: jsonFlag,
  },
  needs: CLIENT_POWERS,
  args: [...helloArguments, {
    name: "IP",
    help: "the application's address",
    default: "127.0.0.1",
  }],
  examples: ["appctrl mock UID 192.168.10.11:5007 INVALID_TOKEN PROD 192.168.10.10"],
  async run(line, io) {
    const { options, args } = line;
    const target = await parseHelloArguments(args, io);
    const ip = parseHost(args.IP ?? "", "application's address");
    const told = options.ports.map(({ host, port }) => new Endpoint(host ?? ip, port));
    const { message, listeners } = await greet(
      target,
      target.role === "PROD" ? told : [],
      line,
      io,
    );
    if (options.json) {
      const { uid: { session }, role } = target;
      io.out(jsonLine("hello", { session, role, message, listeners: listeners.map(String) }));
      return Exit.OK;
    }
    io.out(message);
    for (const listener of listeners) io.out(`listeners: "${listener}"`);
    return Exit.OK;
  },
});
