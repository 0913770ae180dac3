/**
 * Where sessions of type Janus run, as the flags say it, and as Janus' profile makes of it.
 * @module
 */
import { isIP } from "node:net";
import {
  type Janus,
  type JanusAccess,
  JanusError,
  type JanusProfile,
  type JanusVolume,
} from "../../../janus/client.ts";
import { missing, plainImage } from "../../../janus/missing.ts";
import { quote, ScistreamError } from "../../../protocol/errors.ts";
import type { GatewayNode } from "../../data_server.ts";

export { janusUrl } from "../../../janus/client.ts";

/** Settings of type Janus. */
export interface JanusSettings {
  /** Where Janus is, and as whom. */
  access: JanusAccess;
  /** As {@linkcode parseJanusNodes} gives them. */
  nodes: readonly GatewayNode[];
  /** Of Janus': what containers are made with. */
  profile: string;
  /** HAProxy's own if not given. */
  image?: string;
  /** This host's path of the folder that the profile mounts. */
  configDir: string;
}

/**
 * What `--janus-node` says: `NAME=WAN_IP[/LAN_IP]`, several with commas. Producers' sessions listen on
 * the WAN address, consumers' on the LAN's, or on the same if there is none.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function parseJanusNodes(text: string): GatewayNode[] {
  const nodes = text.split(",").map((each) => parseNode(each.trim()));
  const names = nodes.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new ScistreamError("BAD_FORMAT", `--janus-node names ${quote(twice)} twice`);
  }
  return nodes;
}

function parseNode(text: string): GatewayNode {
  const [, name, wan = "", lan = wan] = /^([\w.-]{1,64})=([^/]+)(?:\/(.+))?$/.exec(text) ?? [];
  if (name === undefined || isIP(wan) === 0 || isIP(lan) === 0) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `--janus-node ${quote(text)} is not NAME=WAN_IP or NAME=WAN_IP/LAN_IP; give one such as ` +
        "dtn1=203.0.113.5/192.168.20.5",
    );
  }
  return {
    name,
    PROD: { told: wan, bound: wan },
    CONS: { told: lan, bound: lan },
    capacity: 0,
  };
}

/** What is doubtful about the way to Janus, a sentence each. */
export function doubtsOf({ url, insecure }: JanusAccess): string[] {
  if (url.protocol === "http:") {
    const isNear = /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname);
    return isNear
      ? []
      : [`${url.origin} is plain HTTP: whoever is on the way reads Janus' password`];
  }
  return insecure
    ? [`the certificate of Janus at ${url.origin} is not verified (--janus-insecure)`]
    : [];
}

/**
 * Asks Janus for all that sessions will need of it.
 * @returns where the shared folder is in the containers
 * @throws {ScistreamError} CONN_ERROR, with what to do
 */
export async function checkJanus(
  janus: Janus,
  { profile, nodes, configDir }: JanusSettings,
  image: string,
): Promise<string> {
  const found = await findProfile(janus, profile);
  if (found.network !== "host") {
    throw new ScistreamError(
      "CONN_ERROR",
      `profile ${quote(profile)} of Janus gives containers the network ${quote(found.network)}, ` +
        "where nobody reaches their ports; set its mgmt_net to host",
    );
  }
  const images = await janus.images();
  if (!images.includes(plainImage(image))) throw missing("image", plainImage(image), images);
  const names = (await janus.nodes()).map(({ name }) => name);
  for (const { name } of nodes) {
    if (!names.includes(name)) throw missing("node", name, names);
  }
  const volumes = await janus.volumes();
  return volumes ? mountedAt(configDir, found, volumes) : configDir;
}

async function findProfile(janus: Janus, name: string): Promise<JanusProfile> {
  let all: JanusProfile[] = [];
  // It may have been written since Janus read its files.
  for (const refresh of [false, true]) {
    try {
      all = await janus.profiles({ refresh });
    } catch (error) {
      // To have them read anew may be for administrators only.
      if (!refresh || !(error instanceof JanusError)) throw error;
    }
    const found = all.find((profile) => profile.name === name);
    if (found) return found;
  }
  throw missing("profile", name, all.map((profile) => profile.name));
}

/** Where a folder of this host is in a container: what the profile mounts is known by its path on the node. */
export function mountedAt(
  configDir: string,
  profile: JanusProfile,
  volumes: readonly JanusVolume[],
): string {
  const folder = configDir.replace(/\/+$/, "");
  const mounted = volumes.filter(({ name }) => profile.volumes.includes(name));
  for (const { source, target } of mounted) {
    const from = source.replace(/\/+$/, "");
    if (folder === from || folder.startsWith(`${from}/`)) {
      return target.replace(/\/+$/, "") + folder.slice(from.length);
    }
  }
  // It is somewhere else on this host than on the nodes.
  const [only, ...more] = mounted;
  if (only && more.length === 0) return only.target.replace(/\/+$/, "");
  const list = mounted.map(({ source, target }) => `${quote(source)} at ${quote(target)}`);
  throw new ScistreamError(
    "CONN_ERROR",
    `--janus-config-dir ${quote(configDir)} is no folder that profile ${
      quote(profile.name)
    } of Janus mounts; it mounts ${list.join(", ") || "none"}`,
  );
}
