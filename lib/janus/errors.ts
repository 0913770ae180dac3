/**
 * What can go wrong between here and ESnet's Janus controller, each with what to do about it.
 * @module
 */
import { messageOf, oneLine, quote, ScistreamError } from "../protocol/errors.ts";

/**
 * - `unreachable`: nobody answers at the URL, or stopped answering half-way. Trying again may help.
 * - `untrusted`: its certificate, or that it has one or none, is not what was expected.
 * - `login`: Janus does not know this user with this password.
 * - `missing`: Janus does not have what was named: a profile, an image, a node, a session.
 * - `node`: Janus is there, and the node did not do it.
 * - `janus`: Janus refused, or answered what makes no sense; `httpStatus` tells the two apart.
 */
export type JanusErrorKind = "unreachable" | "untrusted" | "login" | "missing" | "node" | "janus";

/** A failed call of Janus. Its code is `CONN_ERROR`. No password is in it. */
export class JanusError extends ScistreamError {
  /** The answer's status, if it is an error. */
  readonly httpStatus: number | undefined;
  /** Whether Janus may have done, or may yet do, what it was asked. */
  readonly mayBeDone: boolean;

  constructor(
    readonly kind: JanusErrorKind,
    sentence: string,
    options: { httpStatus?: number; mayBeDone?: boolean; cause?: unknown } = {},
  ) {
    super("CONN_ERROR", sentence, options);
    this.httpStatus = options.httpStatus;
    this.mayBeDone = options.mayBeDone ?? false;
  }
}

/** Errors of a connection that never carried a request. */
const BEFORE: Record<string, string> = {
  ECONNREFUSED: "the connection was refused",
  EHOSTUNREACH: "no way leads to its host",
  ENETUNREACH: "no way leads to its network",
  ENOTFOUND: "its host name has no address",
  EAI_AGAIN: "its host name cannot be looked up now",
};

/** What it means that the connection failed (errors of node:https). */
export function connectionError(url: URL, what: string, error: unknown): JanusError {
  const code = String((error as { code?: unknown }).code ?? "");
  const words = messageOf(error);
  const at = `Janus at ${url.origin}`;
  if (/CERT|SIGNATURE|ISSUER/.test(code)) {
    return new JanusError(
      "untrusted",
      `the certificate of ${at} is not trusted: ${words}; name it, or its authority's, with ` +
        "--janus-ca FILE",
      { cause: error },
    );
  }
  if (isWrongProtocol(url, code, words)) {
    const [is, use] = url.protocol === "https:" ? ["plain HTTP", "http"] : ["TLS", "https"];
    return new JanusError(
      "untrusted",
      `what listens at ${url.host} seems to speak ${is}; try --janus-url ${use}://${url.host}`,
      { cause: error },
    );
  }
  if (Object.hasOwn(BEFORE, code)) {
    return new JanusError(
      "unreachable",
      `${at} is not reachable: ${BEFORE[code]}; is the controller running, and --janus-url right?`,
      { cause: error },
    );
  }
  return new JanusError("unreachable", `${at} broke the connection (${what}): ${words}`, {
    mayBeDone: true,
    cause: error,
  });
}

function isWrongProtocol(url: URL, code: string, words: string): boolean {
  return url.protocol === "https:"
    ? /EPROTO|WRONG_VERSION/.test(code) || /InvalidContentType|wrong version/i.test(words)
    : /^HPE_/.test(code);
}

/** It did not answer, or not to the end. */
export function lateError(url: URL, what: string, ms: number): JanusError {
  return new JanusError(
    "unreachable",
    `Janus at ${url.origin} did not answer within ${ms / 1000} s (${what})`,
    { mayBeDone: true },
  );
}

/** Janus answered with an error; `what` completes "refused to …", `said` is its own words. */
export function refused(what: string, httpStatus: number, said: string): JanusError {
  return new JanusError(
    httpStatus === 404 ? "missing" : "janus",
    `Janus refused to ${what}: ${said || "it does not say why"} (HTTP status ${httpStatus})`,
    // A proxy before Janus gave up; Janus itself may not have.
    { httpStatus, mayBeDone: httpStatus === 502 || httpStatus === 504 },
  );
}

/** The user or the password is wrong. */
export function loginError(url: URL, user: string): JanusError {
  return new JanusError(
    "login",
    `Janus at ${url.origin} does not take the password of user ${quote(user)}; correct ` +
      "--janus-user, or the password in --janus-password-file or SCISTREAM_JANUS_PASSWORD",
    { httpStatus: 401 },
  );
}

/** Janus' own words in an error's body: `{"error":…}`, or what Flask and proxies before it say. */
export function errorText(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  try {
    const { error, message } = JSON.parse(text);
    const said = [error, message].find((each) => typeof each === "string");
    if (said !== undefined) return oneLine(said);
  } catch {
    // A page, or plain text.
  }
  return oneLine(text.replace(/<[^>]*>/g, " ").replace(/\s+/g, " "));
}
