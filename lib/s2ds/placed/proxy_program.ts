/**
 * A proxy as a program that is placed: it reads its configuration when it starts, and is replaced when
 * that changes.
 * @module
 */
import type { Proxy } from "../proxy/proxy.ts";
import { type Program, type ProgramPlan, RUN } from "./program.ts";

/** A proxy never needs to be anybody. */
const NOBODY = 65534;

/** The program of a proxy. */
export function proxyProgram(proxy: Proxy): Program {
  const { configFolder, mostTasks, stopSignal, image, name, sharesPorts } = proxy;
  const planOf = ({ role, channels, limits }: ProgramPlan) => ({
    ...{ role, channels, limits },
    paths: { config: configFolder, run: RUN },
    sharesPorts,
  });
  const placed = ({ name, text }: { name: string; text: string }) => ({
    path: `${configFolder}/${name}`,
    text,
  });
  return {
    ...{ name, image, mostTasks, stopSignal, sharesPorts },
    user: NOBODY,
    abilities: { limit: false, allow: false, protects: proxy.protects ?? false },
    config: (plan) => placed(proxy.config(planOf(plan))),
    secrets: async (uid, plan) => (await proxy.files?.(planOf(plan), uid) ?? []).map(placed),
    command: ({ path }) => proxy.command(path),
    listens: (log) => log.some(proxy.listens),
    leaves: (log) => log.some(proxy.leaves),
    complaint: (log, channel, index) => proxy.complaint(log, channel, index),
  };
}
