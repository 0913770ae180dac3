/**
 * Control servers that authenticate their callers, and clients that have tokens.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ControlClient } from "../../lib/protocol/client.ts";
import type { Answer, UnaryMethod } from "../../lib/protocol/codec.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { ScistreamError } from "../../lib/protocol/errors.ts";
import type { ControlMethods } from "../../proto/messages.ts";
import { Gateway, tempFolder } from "../harness.ts";
import { OAuthServer, type OAuthServerOptions } from "./provider.ts";

/** A control server's client at the provider. */
export const GATEWAY = { id: "92c36fec-6d3c-41f6-a487-dfda1281c4e5", secret: "gateway-s3cret" };
/** Another control server's. */
export const OTHER = { id: "5f2ab3f0-0001-4c3f-8c7e-1f4b8a6f0c11", secret: "other-s3cret" };

/** The scope of a control server's tokens at Globus. */
export const scopeOf = (server: { id: string }) =>
  `https://auth.globus.org/scopes/${server.id}/scistream`;

/** A provider of Globus' shape, with two control servers. */
export function globus(options: Partial<OAuthServerOptions> = {}): Promise<OAuthServer> {
  const servers = [GATEWAY, OTHER].map((server) => ({ ...server, scope: scopeOf(server) }));
  return OAuthServer.start({ shape: "globus", servers, ...options });
}

/** A provider that is not Globus, with two control servers. */
export function plain(options: Partial<OAuthServerOptions> = {}): Promise<OAuthServer> {
  const servers = [GATEWAY, OTHER].map((server) => ({
    ...server,
    scope: "scistream",
    resource: `https://${server.id}.example`,
  }));
  return OAuthServer.start({ shape: "plain", servers, ...options });
}

/** Flags of a control server that asks the provider of Globus' shape about tokens. */
export function globusFlags(oauth: OAuthServer, folder: string, server = GATEWAY): string[] {
  const file = `${folder}/${server.id}.secret`;
  Deno.writeTextFileSync(file, `${server.secret}\n`, { mode: 0o600 });
  return [
    `--globus-url=${oauth.url}`,
    `--client-id=${server.id}`,
    `--client-secret-file=${file}`,
  ];
}

/** A control server with these flags, and the provider of Globus' shape that it asks. */
export async function authenticated(
  flags: string[],
  options: Partial<OAuthServerOptions> = {},
): Promise<{ oauth: OAuthServer; gateway: Gateway } & AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  const oauth = stack.use(await globus(options));
  const folder = stack.use(tempFolder());
  const gateway = stack.use(await Gateway.start(...flags, ...globusFlags(oauth, folder.path)));
  return { oauth, gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Runs `work` with a client that carries this token. */
export async function calling<T>(
  gateway: Gateway,
  token: string | undefined,
  work: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const client = new ControlClient({
    address: Endpoint.parse(gateway.address),
    roots: Deno.readFileSync(gateway.cert),
    token,
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** One call with this token. */
export function call<M extends UnaryMethod>(
  gateway: Gateway,
  token: string | undefined,
  method: M,
  message: Partial<ControlMethods[M]["request"]> = {},
): Promise<Answer<M>> {
  return calling(gateway, token, (client) => client.call(method, message));
}

/** What a call was refused with: `CODE status sentence`. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => undefined, (error) => error);
  assert(error instanceof ScistreamError, `was not refused but ${error ?? "answered"}`);
  return `${error.code} ${error.status} ${error.message}`;
}

/** A session from req to update; the application's listener may be anything. */
export function session(
  gateway: Gateway,
  token: string | undefined,
  uid: string,
  more: { num_conn?: number; rate?: number; app?: string } = {},
) {
  const { num_conn = 1, rate = 0, app = "127.0.0.1:9" } = more;
  return calling(gateway, token, async (client) => {
    const [{ listeners }] = await Promise.all([
      client.call("req", { uid, role: "PROD", num_conn, rate }),
      client.call("hello", { uid, role: "PROD", prod_listeners: [app] }),
    ]);
    await client.call("update", { uid, role: "PROD", remote_listeners: [app] });
    return listeners[0] as string;
  });
}

/** That a session is there as its owner left it. */
export async function assertStreams(gateway: Gateway, token: string, uid: string): Promise<void> {
  assertEquals((await call(gateway, token, "status", { uid })).state, "streaming");
}
