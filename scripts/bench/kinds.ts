/**
 * The kinds of streams that are measured: data server types, and the built-in one with and without
 * encryption between gateways.
 * @module
 */
import { DockerEngine } from "../../lib/docker/engine.ts";
import { DEFAULT_SOCKET } from "../../lib/cli/docker_host.ts";
import { messageOf } from "../../lib/protocol/errors.ts";
import { SCISTREAM } from "../demo/gateways.ts";
import { run } from "./process.ts";

/** The built-in forwarder of one gateway, unencrypted. */
export const PLAIN = "S2DS";
/** The built-in forwarders of both gateways, TLS 1.3 between them. */
export const ENCRYPTED = "S2DS pair, TLS";

/** How to stream. */
export interface Kind {
  /** As `s2cs --type` takes it. */
  type: string;
  /** Both gateways, because what travels between them is encrypted. */
  pair?: boolean;
  /** Image of the proxy's container. */
  image?: string;
  /** More flags of `s2cs`. */
  flags?: (signal: AbortSignal) => Promise<string[]>;
  /** Why it cannot be measured, where it cannot. */
  fault?: (signal: AbortSignal) => Promise<string | undefined>;
}

/** All kinds, by the name that tables give them. */
export const KINDS: Record<string, Kind> = {
  [PLAIN]: {
    type: "S2DS",
    // Without the flag nothing else is known to s2cs.
    flags: async (signal) => await encrypts(signal) ? ["--wan=plain"] : [],
  },
  [ENCRYPTED]: {
    type: "S2DS",
    pair: true,
    flags: () => Promise.resolve(["--wan=tls"]),
    fault: async (signal) =>
      await encrypts(signal) ? undefined : "this s2cs has no --wan, so S2DS does not encrypt",
  },
  HaproxySubprocess: { type: "HaproxySubprocess" },
  Haproxy: container("Haproxy", "haproxy:latest"),
  DockerSock: container("DockerSock", "haproxy:latest"),
  NginxSubprocess: { type: "NginxSubprocess" },
  Nginx: container("Nginx", "nginx:latest"),
  "StunnelSubprocess pair": { type: "StunnelSubprocess", pair: true },
  "Stunnel pair": { ...container("Stunnel", "stunnel:latest"), pair: true },
};

const engine = new DockerEngine({ socket: DEFAULT_SOCKET });

/**
 * Which of these can be measured here, and a line for each reason why others cannot. Names of what
 * is no kind of stream can.
 */
export async function whichHere(
  names: readonly string[],
  signal: AbortSignal,
): Promise<{ here: string[]; leftOut: string[] }> {
  const here: string[] = [];
  const reasons = new Map<string, string[]>();
  for (const name of names) {
    const reason = await KINDS[name]?.fault?.(signal);
    if (reason === undefined) here.push(name);
    else reasons.set(reason, [...reasons.get(reason) ?? [], name]);
  }
  const leftOut = [...reasons].map(([reason, which]) => `left out: ${which.join(", ")}: ${reason}`);
  return { here, leftOut };
}

function container(type: string, image: string): Kind {
  const fault = async () => {
    try {
      return await engine.inspectImage(image) ? undefined : `${image} is not on the Docker Engine`;
    } catch (error) {
      return messageOf(error);
    }
  };
  return { type, image, fault };
}

let help: Promise<string> | undefined;

/** Whether s2cs can encrypt what the built-in forwarders say to each other. */
async function encrypts(signal: AbortSignal): Promise<boolean> {
  help ??= run([Deno.execPath(), ...SCISTREAM, "s2cs", "--help"], signal);
  return /--wan\s/.test(await help);
}
