import type { Owner } from "./owner.ts";
import type { Networks } from "../protocol/cidr.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import type { Uid } from "../protocol/uid.ts";
import type { Rate, Role } from "../protocol/values.ts";
import type { State } from "./state.ts";

/** What is known of a session; plain values, for a store to keep. */
export interface Session {
  readonly uid: Uid;
  readonly role: Role;
  /** Whose it is; nobody's where callers are not authenticated. */
  readonly owner?: Owner;
  /** As requested, or as updated since. */
  rate: Rate;
  /** Milliseconds since 1970 UTC. */
  readonly createdMs: number;
  state: State;
  /** Why the session failed, expired or was cut; empty when all is well. */
  reason: string;
  /** Where its listeners are: a node of the data server's, or empty for this machine. */
  node: string;
  /** The node that it was on before that was lost, and since when it is not. */
  moved?: { readonly from: string; readonly atMs: number };
  /** As they are told to peers; one a channel. */
  listeners: Endpoint[];
  /** The application's addresses, as hello told them. */
  appListeners: Endpoint[];
  /** Where its data connections may come from; from everywhere if not given. */
  readonly allow?: Networks;
  /** What its user should know, a sentence each. */
  readonly warnings: readonly string[];
  /** Where each channel forwards to; empty until the first update. */
  targets: Endpoint[];
}
