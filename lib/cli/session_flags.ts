/**
 * Flags and arguments that several session commands share.
 * @module
 */
import { Networks } from "../protocol/cidr.ts";
import { Endpoint, parseHost, parsePort } from "../protocol/endpoint.ts";
import { quote } from "../protocol/errors.ts";
import { MOCK_UID, Uid } from "../protocol/uid.ts";
import { parseNumConn, parseRate } from "../protocol/values.ts";
import { clientFlags } from "./connection.ts";
import { type Argument, bool, list, parsed, UsageError } from "./flags.ts";

const number = (parse: (value: number) => number) => (text: string) => {
  if (!/^-?[0-9]{1,15}(\.[0-9]+)?$/.test(text)) {
    throw new UsageError(`${quote(text)} is not a number`);
  }
  return parse(Number(text));
};

/** `--num-conn`. */
export const numConnFlag = parsed(
  "how many parallel channels the session has",
  number(parseNumConn),
  { value: "N", default: "5" },
);

/** `--rate`. */
export const rateFlag = parsed(
  "the session's maximum data rate in kilobytes (1,000 bytes) per second; 0 asks for no limit",
  number(parseRate),
  { value: "KBPS", default: "0" },
);

/** `--allow`, and others like it. */
export const allowFlag = (who: string) =>
  parsed(`networks that may connect to ${who}; all if not given`, Networks.parseList, {
    value: "CIDR,…",
  });

/** `--json`. */
export const jsonFlag = bool("print JSON, one value a line; docs/json.md tells of its keys");

/** What every request takes. */
export const requestFlags = {
  numConn: numConnFlag,
  rate: rateFlag,
  allow: allowFlag("the session's listeners"),
  ...clientFlags,
  json: jsonFlag,
};

/** `--mock`. */
export const mockFlag = bool("use the well-known uid of the tutorial; it protects nothing");

/** `--s2cs` of a command that talks to one control server. */
export const s2csFlag = (standard: string) =>
  parsed("the control server", (text) => String(Endpoint.parse(text)), {
    value: "HOST:PORT",
    default: standard,
  });

/** Where an application behind the gateway listens. */
export const receiverFlags = {
  remoteIp: parsed("host of the application, as its gateway reaches it", parseHost, {
    value: "HOST",
    default: "localhost",
  }),
  receiverPorts: list("ports that the application listens on", parsePort, {
    value: "PORT,…",
    default: "5074,5075,5076,37000,47000",
  }),
};

/** The application's addresses. */
export function receivers(options: { remoteIp: string; receiverPorts: number[] }): Endpoint[] {
  return options.receiverPorts.map((port) => new Endpoint(options.remoteIp, port));
}

/** The argument that names a session. */
export const uidArgument: Argument = {
  name: "UID",
  help: "the session's uid, as prod-req printed it",
};

/** The argument that names the producer side's listeners. */
export const prodListenersArgument: Argument = {
  name: "PROD_LSTN",
  help: "the producer side's listener HOST:PORT, or several with commas",
};

/** `--s2cs` of a command that talks to several. */
export const serversFlag = (standard: string) =>
  list("the control server; several may be given", (text) => String(Endpoint.parse(text)), {
    value: "HOST:PORT",
    default: standard,
  });

/** The uid of a new session: random, or the well-known one of `--mock True`. */
export function newUid(mock: boolean): Uid {
  return mock ? Uid.parse(MOCK_UID) : Uid.random();
}
