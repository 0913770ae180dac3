/**
 * Checks of the Docker Swarm that sessions would be placed on.
 * @module
 */
import { DockerError } from "../docker/errors.ts";
import type { DockerHost } from "../docker/host.ts";
import { Swarm, type SwarmNode } from "../docker/swarm.ts";
import { LABELS } from "../s2ds/placed/swarm/spec.ts";
import { SwarmNodes } from "../s2ds/placed/swarm/nodes.ts";
import { type Check, fail, failed, type Finding, ok, skip, warn } from "./check.ts";

/** An engine that is well answers within milliseconds. */
const ENGINE_MS = 5_000;
/** As many nodes are named; the rest is counted. */
const MOST_NAMED = 5;

const LABEL = `docker node update --label-add ${LABELS.wan}=IP --label-add ${LABELS.lan}=IP NODE`;

/** `swarm`, `gateways`. */
export function swarmChecks(host: DockerHost): Check[] {
  const swarm = new Swarm({ host, patienceMs: ENGINE_MS });
  return [
    { name: "swarm", look: () => looked(() => manager(swarm)) },
    { name: "gateways", look: () => looked(() => gateways(swarm)) },
  ];
}

async function looked(look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    // The check of the engine itself says what is wrong with it.
    if (error.httpStatus === undefined) return skip("no engine answers");
    return failed(error);
  }
}

async function manager(swarm: Swarm): Promise<Finding> {
  const { ControlAvailable, LocalNodeState, Error: why } = await swarm.info();
  if (LocalNodeState === "active" && !ControlAvailable) {
    return fail(
      "this engine is a worker of its Swarm, and only a manager places sessions",
      "run s2cs on a manager, or make this node one: docker node promote NODE, at a manager",
    );
  }
  if (!ControlAvailable) {
    return fail(
      `this engine is no manager of a Swarm (it is ${LocalNodeState}${why && `: ${why}`})`,
      "make a Swarm with docker swarm init, or join one with docker swarm join",
    );
  }
  const nodes = await swarm.nodes();
  const managers = nodes.filter(({ ManagerStatus }) => ManagerStatus);
  const reached = managers.filter(({ ManagerStatus }) =>
    ManagerStatus?.Reachability === "reachable"
  );
  const told = `a manager; ${count(nodes.length, "node")}, ${count(managers.length, "manager")}`;
  if (reached.length < managers.length) {
    const away = managers.filter((node) => !reached.includes(node)).map(nameOf);
    return warn(
      `${told}, of which ${away.join(", ")} cannot be reached`,
      "bring it back, or make another node a manager: docker node promote NODE",
    );
  }
  if (managers.length === 2) {
    return warn(
      `${told}: as soon as one of two is lost, no session can be made or changed`,
      "have one manager, or better three: docker node promote NODE",
    );
  }
  if (managers.length === 1 && nodes.length > 2) {
    return warn(
      `${told}: when it is lost, streams go on, and no session can be made or changed`,
      "have three: docker node promote NODE NODE",
    );
  }
  return ok(told);
}

async function gateways(swarm: Swarm): Promise<Finding> {
  const { ControlAvailable } = await swarm.info();
  if (!ControlAvailable) return skip("only a manager knows the nodes");
  const nodes = await swarm.nodes();
  const wrong: string[] = [];
  const { open } = new SwarmNodes(nodes, (sentence) => wrong.push(sentence));
  if (wrong.length > 0) return warn(wrong.join("; "), `set it again: ${LABEL}`);
  const labelled = nodes.filter(({ Spec: { Labels } }) =>
    LABELS.wan in Labels || LABELS.lan in Labels
  );
  if (labelled.length === 0) return fail("no node of the Swarm is a gateway yet", LABEL);
  const names = new Set(open.map(({ id }) => id));
  const closed = labelled.filter(({ ID }) => !names.has(ID));
  if (closed.length > 0) {
    const states = closed.map((node) =>
      `${nameOf(node)} is ${
        node.Status.State === "ready" ? node.Spec.Availability : node.Status.State
      }`
    );
    const told = `${open.length} of ${labelled.length} nodes take sessions: ${listed(states)}`;
    const advice = "bring them back, or docker node update --availability active NODE";
    return open.length === 0 ? fail(told, advice) : warn(told, advice);
  }
  const kinds = Map.groupBy(
    labelled.filter(({ Description: { Architecture } }) => Architecture),
    ({ Description: { Architecture } }) => Architecture,
  );
  if (kinds.size > 1) {
    const told = [...kinds].map(([kind, of]) => `${kind} (${listed(of.map(nameOf))})`);
    return warn(
      `nodes have different architectures: ${told.join(", ")}`,
      "take an image from a registry that has it for all of them (--image NAME), or take labels away",
    );
  }
  const each = open.map(({ name, PROD, CONS, capacity }) =>
    `${name} (wan ${PROD.told}, lan ${CONS.told}${capacity > 0 ? `, ${capacity} kB/s` : ""})`
  );
  return ok(`${count(open.length, "node")}: ${listed(each)}`);
}

function nameOf({ ID, Description: { Hostname } }: SwarmNode): string {
  return Hostname || ID.slice(0, 12);
}

function listed(all: readonly string[]): string {
  const more = all.length - MOST_NAMED;
  return all.slice(0, MOST_NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
