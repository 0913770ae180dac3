// Whole sessions on a real Swarm of three gateways: spread, moved, taken over, and nothing left.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { releaseSession, updateRate, updateSession } from "../lib/s2uc/requests.ts";
import { Uid } from "../lib/protocol/uid.ts";
import type { SessionStatus } from "../proto/messages.ts";
import { whyNoEngine } from "./engine.ts";
import { eventually, leftOutIf } from "./harness.ts";
import { Pair, type Stream } from "./pair.ts";
import { SwarmGateways, type SwarmSession } from "./swarm_gateway.ts";
import { unavailable } from "./topology.ts";

const { ignore, because } = leftOutIf(whyNoEngine() ?? unavailable());

interface Part {
  what: string;
  fn: (gateways: SwarmGateways) => Promise<void>;
}

/** Parts that share a Swarm, one after the other; each leaves it empty. */
function test(way: "lan" | "wan", ...parts: Part[]): void {
  Deno.test({
    name: `swarm: ${parts.map(({ what }) => what).join("; ")}${because}`,
    ignore,
    async fn() {
      await using gateways = await SwarmGateways.start(way);
      for (const { what, fn } of parts) {
        try {
          await fn(gateways);
        } catch (error) {
          throw new Error(`${what}: ${error}`, { cause: error });
        }
        await gateways.stop();
      }
    },
  });
}

/** Bytes both ways over a connection to every listener, each direction ending by itself. */
async function assertStreams(gateways: SwarmGateways, sessions: readonly SwarmSession[]) {
  const addresses = sessions.flatMap(({ listeners }) => listeners);
  await gateways.assertWhole(addresses, "send:3000000 fin read", "send:2000000 fin read");
}

/** The sessions by the nodes that they are on. */
async function byNode(gateways: SwarmGateways, sessions: readonly SwarmSession[]) {
  const all = await Promise.all(sessions.map((each) => gateways.status(each)));
  return Map.groupBy(sessions, (_, i) => all[i]?.node ?? "");
}

/** As `eventually`, for what a Swarm takes its time for. */
async function soon<T>(what: string, look: () => Promise<T | false>): Promise<T> {
  for (let n = 1;; n++) {
    try {
      return await eventually(what, look) as T;
    } catch (error) {
      if (n === 9) throw error;
    }
  }
}

/** The session as it is once it has been moved. */
async function moved(gateways: SwarmGateways, session: SwarmSession): Promise<SwarmSession> {
  const status = await soon("it is moved", async () => {
    const status = await gateways.status(session).catch(() => undefined);
    return status !== undefined && status.moved_ms > 0 && status.state === "streaming" && status;
  });
  const listeners = status.channels.map(({ listener }) => listener);
  assertMatch(status.reason, /^moved from node gw[13] to gw\d, because node gw[13] is down/);
  assertMatch(status.warnings.join(), new RegExp(`new listeners; .* ${listeners}$`));
  return { ...session, listeners };
}

const spread: Part = {
  what: "30 sessions are spread over the gateways, and every byte goes through",
  async fn(gateways) {
    const gateway = await gateways.control("gw1", "Haproxy", "--drain-timeout=2");
    const stranger = gateways.swarm.node("gw2").host.start("socat TCP-LISTEN:5101 STDOUT");
    await gateways.swarm.node("gw2").host.listening(5101);
    const sessions = await Promise.all(Array.from({ length: 30 }, () => gateways.open(2)));
    const nodes = await byNode(gateways, sessions);
    assertEquals([...nodes].map(([name, { length }]) => `${name} ${length}`).sort(), [
      "gw1 10",
      "gw2 10",
      "gw3 10",
    ]);
    for (const { name, wan } of gateways.swarm.nodes) {
      for (const { listeners } of nodes.get(name) ?? []) {
        assertEquals(listeners.map((each) => each.split(":")[0]), [wan, wan]);
        assert(name !== "gw2" || !listeners.some((each) => each.endsWith(":5101")), "it is taken");
      }
    }
    await assertStreams(gateways, sessions);

    // No uid is anywhere that a manager shows.
    const { engine } = gateways.swarm.node("gw2");
    const ids = (await engine.docker("service", "ls", "--quiet")).out.split("\n").filter(Boolean);
    const shown = (await engine.docker("service", "inspect", ...ids)).out;
    for (const { uid } of sessions) {
      assert(shown.includes(uid.hash) && !shown.includes(uid.reveal()));
    }

    await stranger.stop();
    await gateways.release(sessions);
    await gateways.assertEmpty("gw1", "gw2", "gw3");
    assertEquals((await gateway.process.stop()).code, 0);
  },
};

const nodeLost: Part = {
  what: "a node that is lost: its sessions are on others, and their owners are told",
  async fn(gateways) {
    await gateways.control("gw1", "Haproxy", "--drain-timeout=2");
    const { echo } = gateways;
    const sessions = await Promise.all(Array.from({ length: 6 }, () => gateways.open(1, echo)));
    const nodes = await byNode(gateways, sessions);
    const lost = nodes.get("gw3") ?? [];
    const kept = sessions.filter((each) => !lost.includes(each));
    assertEquals([lost.length, kept.length], [2, 4]);
    const flows = await Promise.all(kept.map(({ listeners: [at = ""] }) => gateways.flow(at)));

    await gateways.swarm.crash("gw3");
    for (const session of lost) {
      const there = await moved(gateways, session);
      const flow = await gateways.flow(there.listeners[0] ?? "");
      await flow.finish();
    }
    for (const session of kept) assertEquals((await gateways.status(session)).moved_ms, 0);
    for (const flow of flows) await flow.moves();
    // No session is placed there now.
    const next = await gateways.open();
    assertMatch(next.listeners.join(), /^10\.91\.0\.[12]:/);
    for (const flow of flows) await flow.finish();

    await gateways.swarm.restart("gw3");
    await gateways.release([...sessions, next]);
    await gateways.assertEmpty("gw1", "gw2", "gw3");
  },
};

const takenOver: Part = {
  what: "a control server that is killed, and the leader after it: another has the sessions",
  async fn(gateways) {
    const { echo } = gateways;
    const first = await gateways.control("gw1", "Haproxy", "--drain-timeout=2");
    const sessions = await Promise.all(Array.from({ length: 6 }, () => gateways.open(1, echo)));
    const flows = new Map(
      await Promise.all(sessions.map(async (session) => {
        const { listeners: [at = ""] } = session;
        return [session, await gateways.flow(at)] as const;
      })),
    );
    await first.process.stop("SIGKILL");

    // It has never heard of them, and is at another manager.
    await gateways.control("gw2", "Haproxy", "--drain-timeout=2");
    for (const session of sessions) {
      const { state, channels, role } = await gateways.status(session);
      assertEquals([state, role], ["streaming", "PROD"]);
      assertEquals(channels.map(({ listener }) => listener), session.listeners);
      assertEquals(channels.map(({ target }) => target), [echo]);
    }
    for (const flow of flows.values()) await flow.moves();
    // It does with them what the first one did.
    const nodes = await byNode(gateways, sessions);
    const [updated, released] = nodes.get("gw2") as [SwarmSession, SwarmSession];
    const application = String(gateways.application);
    await updateSession(gateways.client, updated.uid, "PROD", [application]);
    await assertStreams(gateways, [updated]);
    await flows.get(released)?.finish();
    await gateways.release([released]);

    await gateways.swarm.crash("gw1");
    for (const session of nodes.get("gw1") ?? []) {
      const there = await moved(gateways, session);
      await (await gateways.flow(there.listeners[0] ?? "")).finish();
    }
    for (const session of nodes.get("gw3") ?? []) await flows.get(session)?.finish();
    await gateways.release(sessions.filter((each) => each !== released));
    await gateways.assertEmpty("gw2", "gw3");
  },
};

const diesInTheMiddle: Part = {
  what: "a control server that dies in the middle of a step leaves nothing half done",
  async fn(gateways) {
    for (const point of ["req.prepared", "req.opened", "update.prepared", "release.recorded"]) {
      const dying = await gateways.control("gw1", "Haproxy", "--drain-timeout=1", `fault:${point}`);
      const uid = Uid.random();
      await gateways.open(1, gateways.echo, uid).then((session) => gateways.release([session]))
        .catch(() => {});
      assertEquals((await dying.process.ended).code, 137, point);
      const next = await gateways.control(
        "gw2",
        "Haproxy",
        "--drain-timeout=1",
        "--hello-timeout=2",
      );
      // What nobody waits for any more ends by itself; what was answered is there to be released.
      const listed = await soon(`after ${point} nothing is half done`, async () => {
        const { sessions } = await gateways.client.call("list", {});
        return sessions.every(({ state }) => state === "streaming") && sessions;
      });
      if (listed.length > 0) await releaseSession(gateways.client, uid);
      await next.process.stop();
      await gateways.assertEmpty("gw1", "gw2", "gw3");
    }
  },
};

const twoServers: Part = {
  what:
    "two control servers in one Swarm: encrypted between them, counted, held to rate and networks",
  async fn(gateways) {
    await gateways.ownImage("gw2", "gw3");
    const common = ["--drain-timeout=2", "--rate-policy=enforce"];
    const prod = await gateways.control("gw2", "S2DS", "--port-range=5100-5149", ...common);
    const cons = await gateways.control(
      "gw3",
      "S2DS",
      "--port-range=5150-5199",
      "--swarm-name=consumers",
      ...common,
    );
    const pair = Pair.of(prod, cons);
    const streams = await Promise.all([
      pair.connect(gateways.application),
      pair.connect(gateways.application, 2),
    ]);
    const addresses = streams.flatMap((stream) => stream.cons);
    // In place of gw1, which has not the image, others were chosen.
    const nodes = (await Promise.all(streams.map((stream) => pair.status(stream)))).flat()
      .map(({ node }) => node);
    assertEquals(nodes.filter((node) => node === "gw1"), []);
    assertMatch(prod.process.err, /node gw1 cannot run it: No such image: .*another node is tried/);
    await gateways.assertWhole(addresses, "send:3000000 fin read", "send:2000000 fin read");

    const [first] = streams as [Stream, Stream];
    await soon("both sides have counted it", async () => {
      const sides = await pair.status(first);
      return sides.every(({ channels: [channel] }) =>
        // The first line tells the application what to do.
        channel !== undefined && channel.bytes_to_target > 3_000_000 &&
        channel.bytes_to_target < 3_000_100 && channel.bytes_from_target === 2_000_000 &&
        channel.connections_total === 1
      );
    });
    const { engine } = gateways.swarm.node("gw2");
    const secrets = (await engine.docker("secret", "ls", "--format", "{{.Name}}")).out;
    assertEquals(secrets.trim().split("\n").length, 4);

    // Somebody who is not the other gateway.
    const refused = await gateways.talk([first.prod[0] ?? ""], "send:1000 read", "send:1000");
    assertEquals(refused.map(({ gotBytes }) => gotBytes), [0]);
    await updateRate(pair.prod.client, first.uid, 1000);
    const { rate, rate_enforced } = (await pair.status(first))[0] as SessionStatus;
    assertEquals([rate, rate_enforced], [1000, true]);
    await gateways.assertWhole(first.cons, "send:100000 fin read", "send:100000 fin read");
    await soon("what was counted before goes on", async () => {
      const [{ channels: [channel] }] = await pair.status(first) as [SessionStatus];
      return channel !== undefined && channel.bytes_to_target > 3_100_000 &&
        channel.bytes_to_target < 3_100_200 && !channel.uncounted;
    });

    await Promise.all(streams.map((stream) => pair.release(stream)));
    await gateways.assertEmpty("gw1", "gw2", "gw3");
  },
};

const nginxRolls: Part = {
  what: "nginx forwards on while its session is updated",
  async fn(gateways) {
    await gateways.control("gw2", "Nginx", "--drain-timeout=20");
    const session = await gateways.open(1, gateways.echo);
    const { listeners: [listener = ""] } = session;
    const flow = await gateways.flow(listener);
    await updateSession(gateways.client, session.uid, "PROD", [String(gateways.application)]);
    await assertStreams(gateways, [session]);
    await flow.finish();
    await gateways.release([session]);
    await gateways.assertEmpty("gw1", "gw2", "gw3");
  },
};

const stunnelRolls: Part = {
  what: "stunnel on both sides of one Swarm; an update starts it anew",
  async fn(gateways) {
    const prod = await gateways.control("gw1", "Stunnel", "--port-range=5100-5149");
    const cons = await gateways.control(
      "gw2",
      "Stunnel",
      "--port-range=5150-5199",
      "--swarm-name=b",
    );
    const pair = Pair.of(prod, cons);
    const stream = await pair.connect(gateways.application);
    await gateways.assertWhole(stream.cons, "send:3000000 fin read", "send:2000000 fin read");
    await pair.update(stream, Endpoint.parse(gateways.echo));
    await (await gateways.flow(stream.cons[0] ?? "")).finish();
    await pair.release(stream);
    await gateways.assertEmpty("gw1", "gw2", "gw3");
  },
};

test("lan", spread, nginxRolls, diesInTheMiddle);
test("lan", nodeLost);
test("lan", takenOver);
test("wan", twoServers, stunnelRolls);
