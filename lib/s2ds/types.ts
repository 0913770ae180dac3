/**
 * The data server types that `s2cs --type` knows: adding a type is adding a file and a row.
 * @module
 */
import { quote, ScistreamError } from "../protocol/errors.ts";
import type { DataServer, DataServerEvents } from "./data_server.ts";
import { Mock } from "./mock.ts";
import { S2ds } from "./s2ds.ts";

const TYPES: Record<string, (events: DataServerEvents) => DataServer> = {
  S2DS: (events) => new S2ds(events),
  Mock: () => new Mock(),
};

/** Types of the reference that are not here yet. */
const PLANNED = [
  "Haproxy",
  "Nginx",
  "Stunnel",
  "DockerSock",
  "HaproxySubprocess",
  "NginxSubprocess",
  "StunnelSubprocess",
  "Janus",
];

/**
 * The type that this name means, without regard to case.
 * @throws {ScistreamError} NOT_IMPLEMENTED, BAD_FORMAT
 */
export function parseType(text: string): string {
  const same = (name: string) => name.toLowerCase() === text.toLowerCase();
  const type = Object.keys(TYPES).find(same);
  if (type) return type;
  const choice = `choose one of ${Object.keys(TYPES).join(", ")}`;
  const planned = PLANNED.find(same);
  if (planned) {
    throw new ScistreamError(
      "NOT_IMPLEMENTED",
      `data server type ${planned} is not built in yet; ${choice}`,
    );
  }
  throw new ScistreamError("BAD_FORMAT", `data server type ${quote(text)} is unknown; ${choice}`);
}

/** Makes a data server of a type that {@linkcode parseType} answered. */
export function createDataServer(type: string, events: DataServerEvents): DataServer {
  const make = TYPES[type];
  if (!make) throw new TypeError(`no data server type ${type}`);
  return make(events);
}
