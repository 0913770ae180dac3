/**
 * The names of the data server types, apart from what they are: whoever only names them loads none.
 * @module
 */

const NAMES = [
  "S2DS",
  "Haproxy",
  "Nginx",
  "Stunnel",
  "DockerSock",
  "HaproxySubprocess",
  "NginxSubprocess",
  "StunnelSubprocess",
  "Janus",
  "Mock",
] as const;
/** One of them. */
export type TypeName = typeof NAMES[number];

/** The names of all types, as `s2cs --type` takes them. */
export const TYPE_NAMES: string[] = [...NAMES];

/** What runs containers: the Docker Engine of one machine, or a Swarm on its nodes. */
export const ENGINES: readonly EngineName[] = ["docker", "swarm"];
/** One of them. */
export type EngineName = "docker" | "swarm";

/** Types that can run in a Swarm. */
export const IN_SWARM: readonly TypeName[] = ["S2DS", "Haproxy", "Nginx", "Stunnel"];
