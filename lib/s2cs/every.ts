import type { Log } from "../log.ts";
import { messageOf } from "../protocol/errors.ts";

/** Does something again and again, never twice at once; `stop` resolves when it is not being done any more. */
export function every(
  ms: number,
  act: () => Promise<void>,
  log: Log,
): { stop: () => Promise<void> } {
  let under: Promise<void> = Promise.resolve();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  const again = () => {
    if (isOver) return;
    timer = setTimeout(() => {
      under = act().catch((error) => log("warn", messageOf(error))).finally(again);
    }, ms);
  };
  again();
  return {
    stop() {
      isOver = true;
      clearTimeout(timer);
      return under;
    },
  };
}
