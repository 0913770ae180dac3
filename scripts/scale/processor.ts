/**
 * Times of what a simulation does: by the clock for what takes moments, and of the processor for what
 * takes longer, whatever else the machine does meanwhile.
 * @module
 */
import process from "node:process";

/** Does something, and writes down how long it took. */
export async function clocked<T>(times: number[], act: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await act();
  times.push(performance.now() - start);
  return result;
}

/** Does something; answers how many milliseconds of processor time this process had meanwhile. */
export async function worked(act: () => Promise<unknown>): Promise<number> {
  const busy = processorTime();
  await act();
  return busy();
}

/** Answers what tells the processor time since, in milliseconds. */
export function processorTime(): () => number {
  const start = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
}
