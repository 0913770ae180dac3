import { assertEquals, assertMatch } from "@std/assert";
import { noLog } from "../log.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { Uid } from "../protocol/uid.ts";
import { PortRange } from "../protocol/values.ts";
import {
  type ChannelStatus,
  type DataServer,
  type GatewayNode,
  NodeFault,
  type Opening,
  PortsInUse,
} from "../s2ds/data_server.ts";
import { Gateway } from "./gateway.ts";
import { Placement } from "./placement.ts";
import { fromText, toOpenText } from "./record.ts";
import { sessionStatus } from "./report.ts";
import { MemoryStore } from "./store.ts";

function node(name: string): GatewayNode {
  const host = (net: string) => ({ told: `${name}.${net}`, bound: `${name}.${net}` });
  return { name, PROD: host("wan"), CONS: host("lan"), capacity: 0 };
}

/** A data server on nodes that does what the test says. */
class Cluster implements DataServer {
  readonly type = "Cluster";
  readonly abilities = { limit: false, allow: false, protects: false, remembers: true };
  list: GatewayNode[] = [node("a"), node("b")];
  readonly calls: string[] = [];
  onMove: (opening: Opening) => Promise<void> = () => Promise.resolve();
  onOpen: (opening: Opening) => Promise<void> = () => Promise.resolve();
  /** What was last kept of the session. */
  record = "";
  nodes = () => this.list;
  start = () => Promise.resolve();
  stop = () => Promise.resolve();
  leave = () => Promise.resolve();
  reconcile = () => Promise.resolve();
  found = () => Promise.resolve([]);
  status = () => Promise.resolve([] as ChannelStatus[]);
  traffic = () => Promise.resolve(undefined);
  limit = () => Promise.resolve();
  async open(opening: Opening) {
    this.calls.push(`open ${opening.node} ${opening.listeners}`);
    await this.onOpen(opening);
    this.record = opening.record;
  }
  async move(opening: Opening, targets: readonly Endpoint[]) {
    this.calls.push(`move ${opening.node} ${opening.listeners} to ${targets}`);
    await this.onMove(opening);
    this.record = opening.record;
  }
  target(_session: string, targets: readonly Endpoint[]) {
    this.calls.push(`target ${targets}`);
    return Promise.resolve();
  }
  close(_session: string, drainMs: number) {
    this.calls.push(`close ${drainMs}`);
    return Promise.resolve();
  }
}

async function streaming() {
  const cluster = new Cluster();
  const store = new MemoryStore();
  const placement = new Placement({
    range: PortRange.parse("5100-5101"),
    nodes: () => cluster.list,
    reserves: true,
  });
  const gateway = new Gateway({
    ...{ store, placement, dataServer: cluster, toRecord: toOpenText, log: noLog },
    ...{ helloTimeoutMs: 60_000, earlyTimeoutMs: 60_000, earlyHellos: 3, drainTimeoutMs: 1234 },
    ...{ maxSessions: 3, maxConn: 5, ratePolicy: "reserve" as const, capacity: 0 },
    quotas: { sessions: 0, channels: 0, rate: 0 },
    warnings: () => [],
  });
  const uid = Uid.random();
  const never = new AbortController().signal;
  const pending = gateway.req({ uid, role: "PROD", numConn: 1, rate: 7 }, never);
  const appListeners = [new Endpoint("10.9.9.9", 7000)];
  await gateway.hello({ uid, role: "PROD", appListeners }, never);
  await pending;
  await gateway.update({ uid, targets: appListeners });
  const status = async () => sessionStatus(await gateway.status(uid), "Cluster", false);
  return { cluster, store, placement, gateway, uid, status };
}

Deno.test("a session whose node is lost is on another, and its owner is told", async () => {
  const { cluster, store, placement, gateway, uid, status } = await streaming();
  assertEquals((await status()).node, "a");
  cluster.list = [node("b")];
  await gateway.lost(uid.hash, "node a is down");
  assertEquals(cluster.calls.at(-1), "move b b.wan:5100 to 10.9.9.9:7000");
  const { node: where, state, reason, warnings, channels, moved_ms } = await status();
  assertEquals([where, state, moved_ms > 0], ["b", "streaming", true]);
  assertEquals(channels.map(({ listener }) => listener), ["b.wan:5100"]);
  assertMatch(reason, /^moved from node a to b, because node a is down/);
  assertMatch(warnings.join(), /b\.wan:5100/);
  // What the engine keeps is all that another control server needs, and no uid.
  const kept = fromText(cluster.record);
  assertEquals([kept.node, kept.state, kept.uid.hash], ["b", "streaming", uid.hash]);
  assertEquals([kept.uid.isKnown, cluster.record.includes(uid.reveal())], [false, false]);
  assertEquals(placement.used, 1);
  await gateway.release(uid);
  assertEquals([store.size, placement.used, placement.free], [0, 0, 2]);
});

Deno.test("a place that does not do is left for the next; where there is none, it is asked for again", async () => {
  const { cluster, placement, gateway, uid, status } = await streaming();
  cluster.list = [node("b"), node("c")];
  cluster.onMove = ({ node, listeners }) => {
    if (node === "b") return Promise.reject(new NodeFault("b", "node b has no image"));
    const taken = listeners.filter(({ port }) => port === 5100).map(({ port }) => port);
    return taken.length > 0 ? Promise.reject(new PortsInUse(taken)) : Promise.resolve();
  };
  await gateway.lost(uid.hash, "node a is down");
  assertEquals((await status()).channels.map(({ listener }) => listener), ["c.wan:5101"]);
  assertEquals(placement.used, 1);

  cluster.list = [];
  await gateway.lost(uid.hash, "node c is down");
  const waiting = await status();
  assertEquals([waiting.state, waiting.node], ["failed", "c"]);
  assertMatch(waiting.reason, /node c is down, and it cannot be moved yet: no node takes sessions/);
  cluster.list = [node("a")];
  await gateway.lost(uid.hash, "node c is down");
  assertEquals([(await status()).state, (await status()).node], ["streaming", "a"]);
  assertEquals([placement.used, placement.free], [1, 1]);
});

Deno.test("a session that is released while it is moved leaves nothing on either node", async () => {
  const { cluster, store, placement, gateway, uid } = await streaming();
  const moving = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  cluster.onMove = () => (begun.resolve(), moving.promise);
  cluster.list = [node("b")];
  const lost = gateway.lost(uid.hash, "node a is down");
  await begun.promise;
  // Told again meanwhile: one move at a time.
  await gateway.lost(uid.hash, "node a is down");
  const released = gateway.release(uid, true);
  moving.resolve();
  await Promise.all([lost, released]);
  assertEquals(cluster.calls.filter((call) => call.startsWith("move")).length, 1);
  assertEquals(cluster.calls.at(-1), "close 0");
  assertEquals([gateway.size, store.size, placement.used, placement.free], [0, 0, 0, 2]);
});

Deno.test("a session that the engine does not have any more is over", async () => {
  const { cluster, store, placement, gateway, uid } = await streaming();
  gateway.gone(uid.hash, "its service was removed");
  await gateway.close(0);
  assertEquals([gateway.size, store.size, placement.used], [0, 0, 0]);
  assertEquals(cluster.calls.at(-1), "close 0");
});

Deno.test("a node that cannot open a session leaves it to another; none that can: its words", async () => {
  const { cluster, gateway, placement } = await streaming();
  const never = new AbortController().signal;
  const full = new AbortController();
  cluster.onOpen = ({ node }) => Promise.reject(new NodeFault(node, `node ${node} has no image`));
  const req = gateway.req({ uid: Uid.random(), role: "CONS", numConn: 1, rate: 0 }, never);
  const error = await req.catch((error) => error);
  assertMatch(error.message, /^node [ab] has no image$/);
  assertEquals(placement.used, 1);
  cluster.onOpen = ({ node }) => {
    if (node === "b") return Promise.reject(new NodeFault(node, "no"));
    full.abort();
    return Promise.resolve();
  };
  const second = gateway.req({ uid: Uid.random(), role: "CONS", numConn: 1, rate: 0 }, full.signal);
  await second.catch(() => {});
  assertEquals(cluster.calls.filter((call) => call.startsWith("open")).slice(-2), [
    "open b b.lan:5100",
    "open a a.lan:5101",
  ]);
});
