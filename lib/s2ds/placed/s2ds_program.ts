/**
 * The built-in forwarder as a program that is placed: `scistream s2ds --session` in a container of its
 * own image.
 * @module
 */
import { VERSION } from "../../version.ts";
import type { ChannelStatus } from "../data_server.ts";
import { LEAVING, LISTENING } from "../forwarder/alone.ts";
import { CHANNELS_A_LINE, numbersOf } from "../forwarder/numbers.ts";
import { channelSecret } from "../forwarder/secret.ts";
import type { SessionFile } from "../forwarder/session_file.ts";
import type { Wan } from "../s2ds.ts";
import type { Program } from "./program.ts";

/** What scripts/image.sh makes. */
export const OWN_IMAGE: string = `scistream:${VERSION}`;
const CONFIG = "/etc/scistream/session.json";
const SECRET = "/etc/scistream/session.secret";
/** Of scripts/image.sh's image. */
const USER = 10001;
const KILOBYTE = 1000;
/** Megabytes that it takes beside its connections' blocks (docs/data-servers.md). */
const ITSELF_MB = 200;
const LEAST_MB = 32;

/** What it encrypts, and what it may use. */
export interface S2dsProgramSettings {
  wan: Wan;
  udp: boolean;
  limits: { memory: number };
}

/** The program of type S2DS. */
export function s2dsProgram({ wan, udp, limits }: S2dsProgramSettings): Program {
  const blocks = Math.max(LEAST_MB, limits.memory - ITSELF_MB);
  const hidden = wan === "tls";
  return {
    name: "s2ds",
    image: OWN_IMAGE,
    abilities: { limit: true, allow: true, protects: hidden },
    mostTasks: 128,
    sharesPorts: true,
    user: USER,
    // Its own may be on a volume that it cannot read.
    env: { HOME: "/tmp", SCISTREAM_STATE_DIR: "/tmp" },
    stopSignal: "SIGTERM",
    config({ role, channels, allow, limit }) {
      const targets = channels.flatMap(({ target }) => target ? [String(target)] : []);
      const file: SessionFile = {
        role,
        listeners: channels.map(({ listener }) => String(listener)),
        allow: allow.map(({ texts }) => [...texts]),
        rate: limit * KILOBYTE,
        udp,
        ...targets.length > 0 ? { targets } : {},
      };
      return { path: CONFIG, text: JSON.stringify(file) };
    },
    secrets: (uid) =>
      Promise.resolve(
        hidden ? [{ path: SECRET, text: channelSecret(uid.reveal()).toHex() }] : [],
      ),
    command: ({ path }) => [
      ...["scistream", "s2ds", "--session", path, "--max-memory", String(blocks)],
      ...hidden ? ["--secret-file", SECRET] : [],
    ],
    listens: (log) => log.includes(LISTENING),
    leaves: (log) => log.includes(LEAVING),
    count: (log, channels) => numbers(log, channels),
    complaint: () => "",
  };
}

/** The last numbers that a log tells of each channel; undefined before it tells any. */
function numbers(log: readonly string[], channels: number): ChannelStatus[] | undefined {
  const found: ChannelStatus[] = [];
  const lines = Math.ceil(channels / CHANNELS_A_LINE);
  const told = log.flatMap((line) => numbersOf(line) ?? []).slice(-lines);
  for (const { first, channels } of told) found.splice(first, channels.length, ...channels);
  return found.length === channels ? found : undefined;
}
