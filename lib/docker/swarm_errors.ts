/**
 * What Swarm mode refuses in words only: its statuses do not tell. Seen with Docker 20.10.24, where
 * services are refused with 404 while there is no leader, and a conflict of versions is 500.
 * @module
 */

/**
 * - `no-manager`: this engine is in no Swarm, or only a worker there.
 * - `no-leader`: too few managers reach one another, or the leader does not answer. Trying again may help.
 * - `out-of-sequence`: the service was changed after it was read.
 * - `in-use`: a service still has this config or secret.
 */
export type SwarmErrorKind = "no-manager" | "no-leader" | "out-of-sequence" | "in-use";

const WORDS: readonly [SwarmErrorKind, RegExp][] = [
  ["no-manager", /this node is not (?:a swarm manager|part of a swarm)/i],
  ["no-leader", /the swarm does not have a leader|code = DeadlineExceeded/i],
  ["out-of-sequence", /update out of sequence/i],
  ["in-use", /is in use by the following service/i],
];

/** What an error's message means; undefined if nothing of Swarm mode's. */
export function swarmKind(message: string): SwarmErrorKind | undefined {
  return WORDS.find(([, words]) => words.test(message))?.[0];
}
