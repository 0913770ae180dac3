/**
 * What goes wrong in a soak, and how it is made to.
 * @module
 */
import { LABELS } from "../../lib/s2ds/proxy/container_spec.ts";
import type { Engine } from "../../tests/engine.ts";
import { eventually, processes } from "../../tests/harness.ts";
import type { Side } from "./gateways.ts";
import { workingDirectory } from "./ledger.ts";
import { type Action, inContainers } from "./plan.ts";
import { pause, type Stream } from "./stream.ts";

/** One decision for a fault. */
export type FaultAction = Extract<Action, { kind: "fault" }>;

/** What a fault happens to. */
export interface Scene {
  type: string;
  side: Side;
  engine?: Engine;
  /** Sessions that are there. */
  streams: readonly Stream[];
  /** The one of them whose data server is meant. */
  stream?: Stream;
  /** A call that is under way meanwhile; it settles whatever happens. */
  meanwhile: Promise<unknown>;
}

/** Streams that this fault may cut. */
export function mayCut(
  { fault }: FaultAction,
  { type, streams, stream }: Scene,
): readonly Stream[] {
  if (fault !== "data server killed" && fault !== "both killed") return [];
  // Its processes share all sessions of the gateway.
  if (type === "S2DS") return streams;
  return stream ? [stream] : [];
}

/**
 * Makes it happen; resolves when everything runs again, with when its recovery began, or nothing where
 * there was nothing for it to happen to.
 */
export async function strike(action: FaultAction, scene: Scene): Promise<number | undefined> {
  const { side, stream, type } = scene;
  // Proxies are there with their sessions only.
  if (/data server|both/.test(action.fault) && type !== "S2DS" && !stream) return undefined;
  const began = performance.now();
  switch (action.fault) {
    case "s2cs killed":
      await side.end("SIGKILL");
      await goOn(scene.streams);
      await side.relaunch();
      return began;
    case "s2cs replaced":
      await side.end("SIGTERM");
      await goOn(scene.streams);
      await side.relaunch();
      return began;
    case "s2cs frozen":
      return await frozen([side.pid], action.ms, () => goOn(scene.streams));
    case "hang-up":
      await side.logs(/SIGHUP: certificate and settings were read again/, () => {
        Deno.kill(side.pid, "SIGHUP");
      });
      return began;
    case "certificate renewed":
      // A set-up that is under way trusts the old one.
      await scene.meanwhile;
      await side.logs(/a file has changed: certificate and/, () => side.gateway.certify());
      side.reconnect();
      return began;
    case "data server frozen":
      return await freezeDataServer(action, scene);
    case "data server killed":
      await killDataServer(action, scene);
      return began;
    case "both killed":
      await side.end("SIGKILL");
      await killDataServer(action, scene);
      await side.relaunch();
      return began;
    case "engine restarted":
      await scene.engine?.restart();
      return began;
  }
}

async function goOn(streams: readonly Stream[]): Promise<void> {
  await Promise.all(streams.map((stream) => stream.assertGoesOn()));
}

async function freezeDataServer(action: FaultAction, scene: Scene): Promise<number> {
  const { engine, side, stream, type } = scene;
  if (!inContainers(type)) return await frozen(pidsOf(action, scene), action.ms, () => look(scene));
  const [name] = stream && engine ? await containersOf(side, stream, engine) : [];
  if (!name || !engine) return performance.now();
  await engine.docker("pause", name);
  const looking = look(scene);
  await pause(action.ms);
  const began = performance.now();
  await engine.docker("unpause", name);
  await looking;
  return began;
}

/** Stops processes for some time; answers when they went on. */
async function frozen(
  pids: readonly number[],
  ms: number,
  meanwhile: () => Promise<void>,
): Promise<number> {
  for (const pid of pids) Deno.kill(pid, "SIGSTOP");
  // It may have to wait for them, and they do not wait for it.
  const doing = meanwhile();
  doing.catch(() => {});
  await pause(ms);
  for (const pid of pids) Deno.kill(pid, "SIGCONT");
  const began = performance.now();
  await doing;
  return began;
}

/** Whoever asks is answered, also about what does not answer itself. */
async function look({ side }: Scene): Promise<void> {
  await side.client.call("list", {});
}

async function killDataServer(action: FaultAction, scene: Scene): Promise<void> {
  const { engine, side, stream, type } = scene;
  if (inContainers(type)) {
    const [name] = stream && engine ? await containersOf(side, stream, engine) : [];
    if (!name || !engine) return;
    await engine.docker(...action.whole ? ["rm", "--force"] : ["kill", "--signal=KILL"], name);
    return;
  }
  const pids = pidsOf(action, scene);
  for (const pid of pids) Deno.kill(pid, "SIGKILL");
  await eventually("they are gone", () => {
    const alive = new Set(processes().filter(({ args }) => args !== "").map(({ pid }) => pid));
    return !pids.some((pid) => alive.has(pid));
  });
}

/** The processes of a data server that are meant: all, or the first. */
function pidsOf({ whole, which }: FaultAction, { side, stream, type }: Scene): number[] {
  if (type === "S2DS") {
    const pids = side.gateway.dataServers();
    return whole ? pids : pids.slice(which % pids.length).slice(0, 1);
  }
  if (!stream) return [];
  const end = `/sessions/${stream.uid.hash.slice(0, 16)}`;
  const pids = processes().map(({ pid }) => pid).filter((pid) => {
    const cwd = workingDirectory(pid);
    return cwd.startsWith(side.gateway.stateDir) && cwd.endsWith(end);
  }).sort((a, b) => a - b);
  // A proxy that stands still as a whole is frozen; one that has lost its master alone has workers.
  return whole ? pids : pids.slice(0, 1);
}

async function containersOf(side: Side, stream: Stream, engine: Engine): Promise<string[]> {
  const names = await engine.containers(`${LABELS.session}=${stream.uid.hash}`);
  const ours = new Set(await engine.containers(`${LABELS.gateway}=${side.gateway.address}`));
  return names.filter((name) => ours.has(name));
}
