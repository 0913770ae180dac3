import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { advised, clientFlags, openClient, parseAddress } from "../../lib/cli/connection.ts";
import { parsed, text } from "../../lib/cli/flags.ts";
import { jsonLine } from "../../lib/cli/json.ts";
import {
  allowFlag,
  jsonFlag,
  mockFlag,
  newUid,
  numConnFlag,
  rateFlag,
  receiverFlags,
  receivers,
  s2csFlag,
} from "../../lib/cli/session_flags.ts";
import { parseHost } from "../../lib/protocol/endpoint.ts";

export default command({
  name: "connect",
  summary: "Set up both sides of a stream in one command",
  details: `Asks both control servers for a session under one uid, says both hellos, passes the
connection map between them and prints where the consumer connects. If any step fails,
what the others did is undone. Channel i leads to receiver port i.`,
  flags: {
    prodS2cs: s2csFlag("localhost:5000"),
    consS2cs: s2csFlag("localhost:6000"),
    ...receiverFlags,
    numConn: {
      ...numConnFlag,
      default: undefined,
      help: `${numConnFlag.help}; one a receiver port if not given`,
    },
    rate: rateFlag,
    prodAllow: allowFlag("the producer's gateway"),
    consAllow: allowFlag("the consumer's gateway"),
    ...clientFlags,
    consServerCert: text(
      "certificate of the consumer's control server, if --server-cert is not for both",
      {
        value: "FILE",
      },
    ),
    consScope: text("scope of the consumer's control server, if --scope is not for both", {
      value: "SCOPE",
    }),
    prodWanIp: parsed(
      "address of the producer's gateway that the consumer's gateway reaches, where its control server tells another",
      parseHost,
      { value: "HOST" },
    ),
    mock: mockFlag,
    json: jsonFlag,
  },
  needs: CLIENT_POWERS,
  args: [],
  examples: [
    "s2uc connect --prod-s2cs 192.168.10.11:5007 --cons-s2cs 192.168.30.10:5007 \\",
    "  --prod-wan-ip 192.168.20.10 --remote_ip 192.168.10.10 --receiver_ports 5001",
  ],
  async run(line, io) {
    const { options } = line;
    const uid = newUid(options.mock);
    const numConn: number | undefined = options.numConn;
    const prod = await openClient(parseAddress(options.prodS2cs), line, io);
    const consLine = {
      ...line,
      options: {
        ...options,
        serverCert: options.consServerCert ?? options.serverCert,
        scope: options.consScope ?? options.scope,
      },
      said: new Set(line.said),
    };
    if (options.consServerCert) consLine.said.add("serverCert");
    if (options.consScope) consLine.said.add("scope");
    const cons = await openClient(parseAddress(options.consS2cs), consLine, io);
    try {
      const { connect } = await import("../../lib/s2uc/connect.ts");
      const { prodListeners, consListeners } = await connect({
        prod,
        cons,
        uid,
        numConn: numConn ?? options.receiverPorts.length,
        rate: options.rate,
        prodAllow: options.prodAllow,
        consAllow: options.consAllow,
        receivers: receivers(options),
        prodWanHost: options.prodWanIp,
        signal: io.interrupted,
        onStep: (step, ms) => io.err(`${step}: ${ms.toFixed(0)} ms`),
      });
      if (options.json) {
        io.out(
          jsonLine("connect", {
            uid: uid.reveal(),
            session: uid.session,
            prod_s2cs: options.prodS2cs,
            cons_s2cs: options.consS2cs,
            prod_listeners: prodListeners.map(String),
            listeners: consListeners.map(String),
          }),
        );
      } else {
        io.out(uid.reveal());
        for (const listener of consListeners) io.out(`listeners: "${listener}"`);
        io.err(
          `the consumer connects to the listeners; end it with: s2uc release UID ` +
            `--s2cs ${options.prodS2cs} --s2cs ${options.consS2cs}`,
        );
      }
    } catch (error) {
      throw advised(error);
    } finally {
      prod.close();
      cons.close();
    }
    return 0;
  },
});
