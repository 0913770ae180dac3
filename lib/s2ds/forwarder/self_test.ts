import net from "node:net";
import { ScistreamError } from "../../protocol/errors.ts";
import { makeCredentials } from "./identity.ts";
import { type Credentials, SECRET_LENGTH } from "./secret.ts";
import { plain, reset } from "./sockets.ts";
import { GatewayTls } from "./tls.ts";

const PATIENCE_MS = 5_000;

/**
 * Finds out whether this runtime proves gateways: one that knows the secret is let in, one that
 * knows another is not. (Deno before 2.7.14 let clients without a certificate in.)
 * @throws {ScistreamError} CONN_ERROR if not
 */
export async function selfTest(): Promise<void> {
  const secret = () => crypto.getRandomValues(new Uint8Array(SECRET_LENGTH));
  const ours = secret();
  const server = new GatewayTls("server", () => makeCredentials(ours, "server"));
  const client = (credentials: Credentials) =>
    handshake(server, new GatewayTls("client", () => Promise.resolve(credentials)));
  const good = await makeCredentials(ours, "client");
  const other = await makeCredentials(secret(), "client");
  const known = await client(good);
  const stranger = await client({ ...other, ca: good.ca });
  const bare = await client({ ca: good.ca });
  if (known && !stranger && !bare) return;
  const what = !known ? "does not let the other gateway in" : "lets strangers in";
  throw new ScistreamError(
    "CONN_ERROR",
    `TLS of this runtime (Deno ${Deno.version.deno}) ${what}; use the version that the README names, or --wan plain`,
  );
}

/** Whether the server takes the client for proven, over a connection of this machine's own. */
async function handshake(server: GatewayTls, client: GatewayTls): Promise<boolean> {
  const listener = net.createServer({ allowHalfOpen: true });
  const accepted = new Promise<net.Socket>((resolve) => listener.once("connection", resolve));
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen({ host: "127.0.0.1", port: 0 }, resolve);
  });
  const { port } = listener.address() as net.AddressInfo;
  const dialled = net.connect(
    { host: "127.0.0.1", port, allowHalfOpen: true } as net.NetConnectOpts,
  );
  dialled.on("error", () => {});
  try {
    client.prove(dialled, PATIENCE_MS).catch(() => {});
    const tcp = await accepted;
    tcp.on("error", () => {});
    const proven = await server.prove(tcp, PATIENCE_MS).then(() => true, () => false);
    reset(plain(tcp));
    return proven;
  } finally {
    dialled.destroy();
    listener.close();
  }
}
