/**
 * A release that is asked for on a page: the same as the call, and told alike.
 * @module
 */
import { ScistreamError, Status } from "../../protocol/errors.ts";
import { auditEntry, type Front } from "../front.ts";
import type { Gateway } from "../gateway.ts";
import { sees } from "../owner.ts";
import type { Asked } from "./listen.ts";
import type { Visitor } from "./visitors.ts";

/**
 * Releases the visitor's session of this public id.
 * @throws {ScistreamError} AUTH_ERROR, INVALID_UID, CONN_ERROR
 */
export async function release(
  gateway: Gateway,
  front: Front,
  { id, force, asked, visitor }: { id: string; force: boolean; asked: Asked; visitor: Visitor },
): Promise<void> {
  const start = performance.now();
  let error: unknown;
  try {
    if (visitor.who) return await gateway.release(id, force, visitor.who);
    await gateway.release(await theOne(gateway, id), force);
  } catch (caught) {
    error = caught;
    throw caught;
  } finally {
    const entry = auditEntry("release", { session: id }, asked, visitor.who, { error, start });
    front.onAnswer("release", entry.outcome);
    front.audit?.write({ ...entry, caller: visitor.name });
  }
}

/** Where callers are not authenticated the operator has no uid to show: the file's token stands for it. */
async function theOne(gateway: Gateway, id: string) {
  const named = (await gateway.list()).filter(({ session }) =>
    session.uid.session === id && sees(session, undefined)
  );
  const [report] = named;
  if (report && named.length === 1) return report.session.uid;
  throw new ScistreamError(
    "INVALID_UID",
    report
      ? `several sessions are called ${id}; release them with s2uc`
      : `session ${id} is not here; it was never requested, or is released or expired`,
    { status: Status.NOT_FOUND },
  );
}
