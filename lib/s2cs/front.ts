/**
 * What every call passes before and after its method: who it is, and what became of it.
 * @module
 */
import type { Log } from "../log.ts";
import type { Authenticator, Principal } from "../auth/authenticator.ts";
import { addressOf } from "../protocol/address.ts";
import { isStream, type Method } from "../protocol/codec.ts";
import { messageOf, ScistreamError, Status } from "../protocol/errors.ts";
import type { Caller, ControlHandlers } from "../protocol/server.ts";
import { Uid } from "../protocol/uid.ts";
import type { AuditEntry, AuditLog } from "./audit.ts";
import { type CallGuard, LimitError } from "./call_limits.ts";
import type { Counters } from "./counters.ts";
import type { Service } from "./service.ts";

/** What stands in front of the methods. */
export interface Front {
  /** Lets callers in, before anything else happens; everybody comes in without one. */
  auth?: Authenticator;
  /** Keeps out whoever asks too much. */
  guard: CallGuard;
  /** Takes what was asked and answered. */
  audit?: AuditLog;
  /** Told what became of each caller, whether that was known without asking, and after how long. */
  onAuthenticated?: (outcome: AuthOutcome, cached: boolean, ms: number) => void;
  /** Takes each call, in debug. */
  log: Log;
  /** Told of each answer. */
  onAnswer: (method: string, outcome: string) => void;
}

/** Counts what a front tells. */
export function countedBy(counters: Counters): Pick<Front, "onAnswer" | "onAuthenticated"> {
  return {
    onAnswer: (method, outcome) => counters.calls.add(method, outcome),
    onAuthenticated(outcome, cached, ms) {
      counters.authentications.add(outcome, String(cached));
      if (!cached && outcome !== "limited") counters.checks.observe("", ms / 1000);
    },
  };
}

/** The service behind it. What the front is may change while calls come. */
export function guarded(service: Service, front: Front): ControlHandlers {
  const handlers = Object.entries(service).map(([method, handler]) => [
    method,
    async (request: never, caller: Caller) => {
      const start = performance.now();
      let who: Principal | undefined;
      const tell = (result: { answer?: Answer; error?: unknown }) => {
        const entry = auditEntry(method, request, caller, who, { ...result, start });
        front.onAnswer(method, entry.outcome);
        front.log("debug", callLine(entry));
        const { error } = result;
        const worth = error === undefined ? CHANGING.includes(method) : true;
        if (worth && !(error instanceof LimitError && !error.told)) front.audit?.write(entry);
      };
      let answered: (() => void) | undefined;
      const end = (result: { answer?: Answer; error?: unknown }) => {
        answered?.();
        tell(result);
      };
      try {
        const address = addressOf(caller.peer);
        who = await authenticate(front, caller, address);
        answered = front.guard.admit(who?.id ?? address, who?.name ?? address);
        const answer = await handler(request, { ...caller, who });
        if (isStream(method as Method)) {
          return stillLetIn(answer as AsyncIterable<unknown>, front, { caller, who, end });
        }
        end({ answer: answer as Answer });
        return answer;
      } catch (error) {
        end({ error });
        throw error;
      }
    },
  ]);
  return Object.fromEntries(handlers);
}

/** What may become of a caller. */
export type AuthOutcome = "good" | "bad" | "forbidden" | "unreachable" | "limited";

/**
 * Passes an answer on that goes on for long: the caller must be let in at every part of it, for tokens
 * end and rules change meanwhile. The call is over when the answer is.
 */
async function* stillLetIn(
  answer: AsyncIterable<unknown>,
  front: Front,
  { caller, who, end }: {
    caller: Caller;
    who: Principal | undefined;
    end: (result: { error?: unknown }) => void;
  },
): AsyncGenerator<unknown, void> {
  let failed: { error: unknown } | undefined;
  try {
    for await (const part of answer) {
      // Remembered, mostly; one token is asked about once, however many calls it carries.
      const now = await front.auth?.authenticate(caller.token);
      if (now?.id !== who?.id || now?.admin !== who?.admin) {
        throw new ScistreamError("UNAVAILABLE", "what you may see here has changed; call again");
      }
      yield part;
    }
  } catch (error) {
    failed = { error };
    throw error;
  } finally {
    end(failed ?? {});
  }
}

/**
 * Who has this token; nobody where callers are not authenticated.
 * @throws {ScistreamError} AUTH_ERROR, RATE_LIMIT, UNAVAILABLE
 */
export async function authenticate(
  { auth, guard, onAuthenticated }: Front,
  { token }: Pick<Caller, "token">,
  address: string,
): Promise<Principal | undefined> {
  if (!auth) return undefined;
  const start = performance.now();
  const cached = auth.knows(token);
  let done: ((isBad: boolean) => void) | undefined;
  let outcome: AuthOutcome = "good";
  try {
    done = cached ? undefined : guard.checking(address);
    return await auth.authenticate(token);
  } catch (error) {
    outcome = outcomeOf(error);
    if (outcome !== "limited") guard.refused(address);
    throw error;
  } finally {
    done?.(outcome === "bad");
    onAuthenticated?.(outcome, cached, performance.now() - start);
  }
}

function outcomeOf(error: unknown): AuthOutcome {
  if (error instanceof LimitError) return "limited";
  const status = error instanceof ScistreamError ? error.status : undefined;
  if (status === Status.UNAUTHENTICATED) return "bad";
  return status === Status.PERMISSION_DENIED ? "forbidden" : "unreachable";
}

/** A call in one line. */
function callLine({ call, session, peer, caller, outcome, ms }: AuditEntry): string {
  const what = session === "" ? call : `session ${session}: ${call}`;
  return `${what} from ${caller === "" ? peer : `${caller}, ${peer}`}: ${outcome} in ${ms} ms`;
}

/** Methods that change something; of others only refusals are told. */
const CHANGING = ["req", "hello", "update", "release"];

/** What of any answer is told. */
export interface Answer {
  listeners?: string[];
}

/** What of any request is told. */
export interface Asked {
  uid?: string;
  session?: string;
  role?: string;
  num_conn?: number;
  rate?: number;
  prod_listeners?: string[];
  remote_listeners?: string[];
}

/** The line about a call. */
export function auditEntry(
  call: string,
  asked: Asked,
  { peer }: Pick<Caller, "peer">,
  who: Principal | undefined,
  { answer, error, start }: { answer?: Answer; error?: unknown; start: number },
): AuditEntry {
  const known = error instanceof ScistreamError;
  const refused = error !== undefined && {
    outcome: known ? error.code : "SERVER_ERR",
    reason: known ? error.message : messageOf(error),
  };
  // A caller that was not let in has said nothing that is worth keeping.
  const unknown = known && error.code === "AUTH_ERROR" && !who;
  return {
    time: new Date().toISOString(),
    call,
    session: unknown ? "" : publicId(asked),
    caller: who?.name ?? "",
    caller_id: who?.id ?? "",
    peer,
    outcome: "OK",
    ...refused,
    ms: Math.round(performance.now() - start),
    ...!unknown && {
      role: asked.role,
      num_conn: asked.num_conn,
      rate: asked.rate,
      addresses: asked.prod_listeners ?? asked.remote_listeners,
      listeners: answer?.listeners,
    },
  };
}

/** The session that a message names. */
function publicId({ uid, session }: Asked): string {
  if (session) return /^[0-9a-f]{8}$/.test(session) ? session : "";
  try {
    return Uid.parse(uid ?? "").session;
  } catch {
    return "";
  }
}
