/**
 * `scistream doctor` of a Docker Swarm: a real one, step by step.
 * @module
 */
import { assertEquals } from "@std/assert";
import { assertFound, doctor, Plan } from "./doctor.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { leftOutIf } from "./harness.ts";
import { SwarmNetwork } from "./swarm_network.ts";

const { ignore, because } = leftOutIf(whyNoEngine());

Deno.test({
  name: `a Swarm that is none yet, without gateways, with bad labels, and a good one${because}`,
  ignore,
}, async () => {
  using plan = await Plan.make();
  // What a Swarm listens on is one for each machine.
  await using network = await SwarmNetwork.create();
  const { namespace } = network.host("gw1");
  await using docker = await Engine.start({ namespace, hostname: "gw1" });
  const flags = [...plan.flags, "--type=Haproxy", "--engine=swarm"];
  const look = () => doctor(flags, { env: { DOCKER_HOST: docker.host } });
  const update = (...words: string[]) => docker.docker("node", "update", ...words, "gw1");
  const none = await look();
  assertEquals(none.problems, ["swarm"]);
  assertFound(none, "swarm", "fail", /no manager of a Swarm \(it is inactive\)/, /swarm init/);
  assertFound(none, "gateways", "skip", /only a manager knows/);
  assertFound(none, "image", "warn", /haproxy:latest is not on this manager/, /docker pull/);

  await docker.docker("swarm", "init", "--advertise-addr", "10.92.0.1");
  const bare = await look();
  assertEquals(bare.problems, ["gateways"]);
  assertFound(bare, "swarm", "ok", /^a manager; 1 node, 1 manager$/);
  assertFound(
    bare,
    "gateways",
    "fail",
    /no node .* is a gateway yet/,
    /--label-add org\.scistream/,
  );
  await update("--label-add", "org.scistream.wan=gw1");
  const wrong = await look();
  assertFound(
    wrong,
    "gateways",
    "warn",
    /label org\.scistream\.wan is no IP address/,
    /set it again/,
  );
  await update("--label-add", "org.scistream.wan=10.91.0.1", "--availability", "drain");
  const drained = await look();
  assertFound(
    drained,
    "gateways",
    "fail",
    /0 of 1 nodes take sessions: gw1 is drain/,
    /active NODE/,
  );

  await Promise.all([update("--availability", "active"), docker.images()]);
  const good = await look();
  assertEquals(good.problems, []);
  assertFound(good, "gateways", "ok", /^1 node: gw1 \(wan 10\.91\.0\.1, lan 10\.91\.0\.1\)$/);
  assertFound(good, "image", "ok", /^haproxy:latest .*every other node needs the same/);
  // To another type it is nothing.
  const other = await doctor(plan.flags, { env: { DOCKER_HOST: docker.host } });
  assertEquals(["swarm", "gateways"].filter((name) => other.reports.has(name)), []);
});
