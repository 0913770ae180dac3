/**
 * Where a control server keeps what must outlive it.
 * @module
 */
import type { Log } from "../log.ts";
import { distrustFile, makePrivateFolder, whoAmI } from "../private_folder.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import type { Home } from "../s2ds/data_server.ts";
import { AuditLog } from "./audit.ts";
import type { S2csOptions } from "./settings.ts";
import { diskFault, isDiskFault } from "./unwritable.ts";

/** Of the control server that listens here: a folder that no other has. */
export function homeOf(stateDir: string, gateway: Endpoint): Home {
  return { folder: `${stateDir}/${nameOf(gateway)}`, gateway };
}

/** @throws {ScistreamError} NO_RESOURCE, or BAD_FORMAT where it would not be this user's alone */
export function makeHome(stateDir: string, { gateway }: Home): void {
  try {
    makePrivateFolder(stateDir, nameOf(gateway), "choose another --state-dir");
  } catch (error) {
    if (!isDiskFault(error)) throw error;
    throw new ScistreamError("NO_RESOURCE", messageOf(error), { cause: error });
  }
}

/** A disk that became read-only keeps no control server from ending. */
export async function removeHome({ folder }: Home, log: Log): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    log("error", `cannot remove ${folder}: ${messageOf(error)}`);
  }
}

/**
 * The audit log that is asked for.
 * @throws {ScistreamError} NO_RESOURCE, or BAD_FORMAT when it cannot be written
 */
export function openAudit(
  { auditLog, stateDir, log }: S2csOptions,
  address: Endpoint,
  onError: () => void,
): AuditLog | undefined {
  if (auditLog === "none") return undefined;
  const path = auditLog || `${stateDir}/audit-${fileName(address)}.jsonl`;
  try {
    const wrong = distrustFile(path, whoAmI(stateDir));
    if (wrong) throw new Error(wrong);
    return new AuditLog(path, { warn: (sentence) => log("error", sentence), onError });
  } catch (error) {
    throw diskFault(path, error) ?? new ScistreamError(
      "BAD_FORMAT",
      `cannot write the audit log ${path}: ${
        messageOf(error)
      }; choose another --audit-log, or none`,
    );
  }
}

function nameOf(address: Endpoint): string {
  return `gateway-${fileName(address)}`;
}

function fileName({ host, port }: Endpoint): string {
  return `${host.replaceAll(":", "_")}-${port}`;
}
