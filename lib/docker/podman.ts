/**
 * Where podman's Docker-compatible socket is not like Docker's. Seen with podman 4.3.1 (API 1.41) as
 * root, beside Docker 20.10.24. Made alike here:
 *
 * - a taken name, a signal for what does not run and removing what runs are 500, not 409;
 * - the event of a removal is `remove`, not `destroy` (and some versions say `died` for `die`).
 *
 * Left as it is:
 *
 * - a missing `Source` of a bind mount is made, where Docker refuses (400);
 * - `wait` for a container that was never started answers -1 or 0, Docker 0;
 * - a container that cannot be started (500, Docker 400) keeps neither `State.Error` nor an exit code;
 * - `State.OOMKilled` stays false and there is no event `oom` (with cgroups v1): only exit code 137;
 * - no event `kill` or `stop` when stopped; `init`, `cleanup` and, between restarts, `restart` are more;
 * - files can be put into a created container whose root is read-only, Docker refuses (500);
 * - an unknown network or log driver is refused at create (500), Docker's network at start (404);
 * - `HostConfig.LogConfig.Config` is not kept;
 * - a name without a registry also finds `localhost/NAME`, and is told with it: `RepoTags`, `Image`;
 * - a pull that fails has answered 200 before, and tries for 3 s;
 * - `kill` waits for a container that its policy restarts;
 * - output is framed in pieces of 8 KiB, Docker's in 16;
 * - followed logs have no head before their first line;
 * - without `Ulimits` it sets nofile and nproc to 1048576, and nothing starts where that is not allowed.
 * @module
 */

/** The status that Docker would have answered with. */
export function dockerStatus(status: number, message: string): number {
  const conflict = /is already in use|container state improper/;
  return status === 500 && conflict.test(message) ? 409 : status;
}

const ACTIONS: Record<string, string> = { died: "die", remove: "destroy" };

/** Docker's word for what happened. */
export function dockerAction(action: string): string {
  return Object.hasOwn(ACTIONS, action) ? ACTIONS[action] as string : action;
}
