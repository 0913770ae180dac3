/**
 * What commands print with `--json`: one value a line, each with the version of its shape and its kind.
 * docs/json.md tells of every key, and tests/json_test.ts holds it to that.
 * @module
 */
import type { Channel, SessionStatus } from "../../proto/messages.ts";
import type { Report } from "../doctor/check.ts";
import type { Made } from "../init/gateway.ts";
import type { AuthReport } from "../s2uc/check_auth.ts";

/** Grows when a key changes its meaning or goes; new keys and kinds come without. */
export const JSON_VERSION = 1;

/** A channel as a watch tells of it. */
export interface WatchedChannel extends Channel {
  /** Since the update before; in the first the gateway's own figure, over the last second. */
  bits_per_second_to_target: number;
  bits_per_second_from_target: number;
}

/** One channel, from the application that receives to the one that sends. */
export interface PathChannel {
  /** Where the application connects: the consumer side's listener. */
  consumer_listener: string;
  /** Where the consumer's gateway connects. */
  consumer_target: string;
  /** Where the producer's gateway listens; empty where no listener of its has that port. */
  producer_listener: string;
  /** Where the producer's application listens. */
  producer_target: string;
  /** Whether the two gateways meet: `yes`, `port` (at another address of the gateway), `no`. */
  meets: "yes" | "port" | "no";
}

/** Each kind of value, without `v` and `kind`. */
export interface Kinds {
  check: Report;
  init: Omit<Made, "clientSecretFile">;
  version: { version: string; commit: string; deno: string; target: string };
  cert: { cert: string; key: string; ips: string[]; names: string[]; days: number };
  request: { uid: string; session: string; s2cs: string; access_token: string; role: string };
  session: {
    uid: string;
    session: string;
    s2cs: string;
    role: string;
    listeners: string[];
    prod_listeners: string[];
    targets: string[];
  };
  connect: {
    uid: string;
    session: string;
    prod_s2cs: string;
    cons_s2cs: string;
    prod_listeners: string[];
    listeners: string[];
  };
  update: { s2cs: string; session: string; targets: string[] | null; rate: number | null };
  release: { s2cs: string; sessions: string[] };
  status: { s2cs: string } & SessionStatus;
  path: { session: string; meets: boolean; channels: PathChannel[] };
  list: { s2cs: string; sessions: SessionStatus[] };
  watch: {
    s2cs: string;
    at_ms: number;
    sessions: (Omit<SessionStatus, "channels"> & { channels: WatchedChannel[] })[];
  };
  "login-url": { url: string };
  login: { scope: string; issuer: string; identity: string; expires: string };
  logout: { scope: string; revoked: boolean };
  auth: AuthReport;
  scope: { scope: string; answer: Record<string, unknown> };
  hello: { session: string; role: string; message: string; listeners: string[] };
}

/** A line of JSON of this kind. */
export function jsonLine<K extends keyof Kinds>(kind: K, value: Kinds[K]): string {
  return JSON.stringify({ v: JSON_VERSION, kind, ...value });
}
