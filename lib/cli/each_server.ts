/**
 * The same question to several control servers.
 * @module
 */
import type { ControlClient } from "../protocol/client.ts";
import type { Io } from "./command.ts";
import { type Reach, withClient } from "./connection.ts";
import { failureOf, tell } from "./failure.ts";

/** What one control server answered. */
export interface Answered<T> {
  s2cs: string;
  /** Undefined where it failed. */
  answer?: T;
}

/**
 * Asks all of them at once. What fails at one is told and hides nothing of the others.
 * @returns the answers in the order of the servers, and the exit code that the first failure asks for
 */
export async function askEach<T>(
  line: Reach & { options: { s2cs: readonly string[]; json: boolean } },
  io: Io,
  ask: (client: ControlClient) => Promise<T>,
): Promise<{ answers: Answered<T>[]; code: number }> {
  const { s2cs, json } = line.options;
  let code = 0;
  const results = await Promise.allSettled(
    s2cs.map((address) => withClient(address, line, io, ask)),
  );
  io.interrupted.throwIfAborted();
  const answers = results.map((result, i): Answered<T> => {
    const address = s2cs[i] as string;
    if (result.status === "fulfilled") return { s2cs: address, answer: result.value };
    const failure = failureOf(result.reason, io);
    const at = s2cs.length > 1 && !failure.message.includes(address) ? ` (${address})` : "";
    tell({ ...failure, message: failure.message + at, text: failure.text + at }, json, io);
    code ||= failure.exit;
    return { s2cs: address };
  });
  return { answers, code };
}
