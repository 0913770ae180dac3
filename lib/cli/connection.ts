/**
 * The flags with which every client command names its control server, and what they lead to.
 * @module
 */
import type { ControlClient } from "../protocol/client.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { messageOf } from "../protocol/errors.ts";
import { bool, text, UsageError } from "./flags.ts";

/** How a client reaches a control server. */
export const connectionFlags = {
  serverCert: text("PEM certificate of the control server; several may stand in one file", {
    value: "FILE",
    default: "server.crt",
  }),
  ssl: bool("speak TLS; False for a control server that runs with --ssl=False", {
    default: "True",
  }),
  config: text("TOML file with any of these options as keys", { value: "FILE" }),
};

/** `--s2cs` of a command that talks to one. */
export const parseAddress = (text: string) => Endpoint.parse(text, "control server");

/**
 * Connects to a control server; the first call finds out whether it is there.
 * @throws {UsageError} when the certificate cannot be read
 */
export async function openClient(
  address: Endpoint,
  options: { serverCert: string; ssl: boolean; token?: string },
): Promise<ControlClient> {
  const roots = options.ssl ? await readCertificate(options.serverCert) : undefined;
  const { ControlClient } = await import("../protocol/client.ts");
  return new ControlClient({ address, roots, token: options.token });
}

async function readCertificate(path: string): Promise<Uint8Array> {
  let pem: Uint8Array;
  try {
    pem = await Deno.readFile(path);
  } catch (error) {
    throw new UsageError(
      `cannot read the control server's certificate ${path}: ${messageOf(error)}; ` +
        "copy server.crt from its gateway, or name it with --server-cert",
    );
  }
  const { checkCertificate } = await import("../protocol/pem.ts");
  checkCertificate(pem, path);
  return pem;
}

/** Does something with a client and closes it, whatever happens. */
export async function withClient<T>(
  address: string,
  options: { serverCert: string; ssl: boolean; token?: string },
  work: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const client = await openClient(parseAddress(address), options);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
