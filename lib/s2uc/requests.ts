/**
 * The steps of setting a session up, as the user client and the application controller take them.
 * @module
 */
import type { AppResponse, Response, SessionStatus, WhoamiResponse } from "../../proto/messages.ts";
import { pause } from "../pause.ts";
import type { CallOptions, ControlClient } from "../protocol/client.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError, Status } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";
import type { Rate, Role, SessionRequest } from "../protocol/values.ts";

/** A release that undoes a failed set-up must not hang on the server that made it fail. */
export const UNDO_MS = 5_000;

/** Asks for a session; pending until its application has said hello. */
export function requestSession(
  client: ControlClient,
  request: SessionRequest,
  signal?: AbortSignal,
): Promise<Response> {
  const { uid, role, numConn, rate } = request;
  const allow = [...request.allow?.texts ?? []];
  return client.call(
    "req",
    { uid: uid.reveal(), role, num_conn: numConn, rate, allow },
    { signal },
  );
}

/** Sets a session's targets. */
export function updateSession(
  client: ControlClient,
  uid: Uid,
  role: Role,
  targets: readonly string[],
  signal?: AbortSignal,
): Promise<Response> {
  return client.call(
    "update",
    { uid: uid.reveal(), role, remote_listeners: [...targets], rate: 0 },
    { signal },
  );
}

/** Sets a running session's rate; 0 asks for no limit. */
export function updateRate(
  client: ControlClient,
  uid: Uid,
  rate: Rate,
  signal?: AbortSignal,
): Promise<Response> {
  // The wire's 0 leaves the rate as it is.
  return client.call(
    "update",
    { uid: uid.reveal(), role: "PROD", remote_listeners: [], rate: rate === 0 ? -1 : rate },
    { signal },
  );
}

/** How a session is released. */
export interface ReleaseOptions {
  /** Cut established connections. */
  force?: boolean;
  /** Milliseconds. */
  deadlineMs?: number;
  /** Cancels the call. */
  signal?: AbortSignal;
}

/** Releases a session. */
export async function releaseSession(
  client: ControlClient,
  uid: Uid,
  options: ReleaseOptions = {},
): Promise<void> {
  await client.call("release", { uid: uid.reveal(), force: options.force ?? false }, options);
}

/** Releases sessions by their public ids, where the control server authenticates its callers. */
export async function releaseNamed(
  client: ControlClient,
  sessions: readonly string[],
  options: ReleaseOptions = {},
): Promise<void> {
  const force = options.force ?? false;
  await settled(
    sessions.map((session) => client.call("release", { uid: "", session, force }, options)),
  );
}

/** Releases every session that the caller may list; answers their public ids. */
export async function releaseAll(
  client: ControlClient,
  options: ReleaseOptions = {},
): Promise<string[]> {
  const names = (await listSessions(client, options)).map(({ session }) => session);
  await releaseNamed(client, names, options);
  return names;
}

/** A session as its gateway sees it now. */
export function sessionStatus(
  client: ControlClient,
  uid: Uid,
  options: CallOptions = {},
): Promise<SessionStatus> {
  return client.call("status", { uid: uid.reveal() }, options);
}

/** The caller's sessions, oldest first; everybody's for an administrator, and where callers are not known. */
export async function listSessions(
  client: ControlClient,
  options: CallOptions = {},
): Promise<SessionStatus[]> {
  return (await client.call("list", {}, options)).sessions;
}

/** Whom the control server takes the caller for. */
export function whoami(client: ControlClient, options: CallOptions = {}): Promise<WhoamiResponse> {
  return client.call("whoami", {}, options);
}

/**
 * Whether this is what a control server answers about a session that it does not have any more. Where
 * callers are known, it says the same of a session that is somebody else's.
 */
export function isOver(error: unknown): boolean {
  if (!(error instanceof ScistreamError)) return false;
  const { code, status } = error;
  return code === "INVALID_UID" && status === Status.NOT_FOUND ||
    code === "AUTH_ERROR" && status === Status.PERMISSION_DENIED;
}

/** Waits for all, then throws what failed first. */
async function settled(calls: Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(calls);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

/** How often hello is tried where the server does not know the uid yet (contract section 6). */
const HELLO_TRIES = 5;
const FIRST_WAIT_MS = 100;

/**
 * Says hello for an application. Our server holds a hello that is early; the reference refuses it,
 * so that refusal is tried again, with growing pauses.
 * @throws {ScistreamError} what the last try was answered
 */
export async function sayHello(
  client: ControlClient,
  uid: Uid,
  role: Role,
  appListeners: readonly Endpoint[],
  options: { signal?: AbortSignal; onRetry?: (error: ScistreamError) => void } = {},
): Promise<AppResponse> {
  const message = { uid: uid.reveal(), role, prod_listeners: appListeners.map(String) };
  for (let tried = 1;; tried++) {
    try {
      return await client.call("hello", message, options);
    } catch (error) {
      if (!(error instanceof ScistreamError) || tried === HELLO_TRIES || !mayPass(error)) {
        throw error;
      }
      options.onRetry?.(error);
      await pause(FIRST_WAIT_MS * 2 ** (tried - 1) * (0.75 + Math.random() / 2), options.signal);
    }
  }
}

/** Whether the same hello may succeed a moment later. */
function mayPass(error: ScistreamError): boolean {
  const unknownUid = error.code === "INVALID_UID" && error.status === Status.NOT_FOUND;
  // The reference answers an unknown uid with a bare UNKNOWN status.
  return unknownUid || error.code === "CONN_ERROR" || error.code === "SERVER_ERR";
}
