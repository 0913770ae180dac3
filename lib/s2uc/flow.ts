/**
 * What prod-req, cons-req, inbound-request and outbound-request do and print (contract section 6).
 * @module
 */
import type { Io } from "../cli/command.ts";
import { type Reach, withClient } from "../cli/connection.ts";
import { jsonLine } from "../cli/json.ts";
import { waiting } from "../cli/progress.ts";
import type { ControlClient } from "../protocol/client.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import type { SessionRequest } from "../protocol/values.ts";
import { releaseSession, requestSession, sayHello, UNDO_MS, updateSession } from "./requests.ts";

/** One side's set-up. */
export interface RequestFlow extends SessionRequest {
  /** The control server as the user wrote it, and how to reach it. */
  s2cs: string;
  reach: Reach;
  /** The producer side's listeners, for a consumer's session. */
  prodListeners?: readonly Endpoint[];
  /** The application's addresses, where this client says the hello itself. */
  receivers?: readonly Endpoint[];
  /** Print JSON. */
  json?: boolean;
  io: Io;
}

/** Asks for the session, says hello if told to, sets the targets, and prints each step. */
export function runRequest(flow: RequestFlow): Promise<void> {
  return withClient(flow.s2cs, flow.reach, flow.io, (client) => request(client, flow));
}

async function request(client: ControlClient, flow: RequestFlow): Promise<void> {
  const { uid, role, receivers, io, json, s2cs } = flow;
  const { interrupted } = io;
  const out = json ? () => {} : io.out;
  const named = { uid: uid.reveal(), session: uid.session, s2cs, role };
  const token = await client.token();
  if (json) io.out(jsonLine("request", { ...named, access_token: token }));
  out("uid; s2cs; access_token; role");
  // The application controller takes the token from here (contract section 6).
  out(`${uid.reveal()} ${s2cs} ${token} ${role}`);
  out("waiting for hello message");
  if (receivers) out("sending client request message");
  out("started client request");
  const failed = new AbortController();
  const either = AbortSignal.any([interrupted, failed.signal]);
  const line = waiting(
    "waiting for the application's hello…",
    receivers || !io.watched ? undefined : io.draw,
  );
  try {
    const pending = requestSession(client, flow, either);
    const hello = receivers && sayHello(client, uid, role, receivers, { signal: either })
      .then(() => out("Hello message sent successfully"));
    const [response] = await Promise.all([pending, hello]).catch((error) => {
      failed.abort(error);
      throw error;
    });
    line.stop();
    for (const listener of response.listeners) out(`listeners: "${listener}"`);
    for (const listener of response.prod_listeners) out(`prod_listeners: "${listener}"`);
    out("");
    out("Sending updated connection map information...");
    out(uid.reveal());
    const targets = flow.prodListeners?.map(String) ?? response.prod_listeners;
    try {
      await updateSession(client, uid, role, targets, interrupted);
    } catch (error) {
      // Without targets the session is of no use, and it is ours: its req was answered.
      await releaseSession(client, uid, { force: true, deadlineMs: UNDO_MS }).catch(() => {});
      throw error;
    }
    const { listeners, prod_listeners } = response;
    if (json) io.out(jsonLine("session", { ...named, listeners, prod_listeners, targets }));
    if (receivers) out(`Listeners: [${response.listeners.map((each) => `'${each}'`).join(", ")}]`);
  } finally {
    line.stop();
  }
}
