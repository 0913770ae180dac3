import { messageOf } from "./protocol/errors.ts";

/**
 * Logs what nothing caught and goes on: a mistake in the handling of one call or one connection must
 * not end every session of the gateway.
 */
export function survive(log: (message: string) => void): void {
  const tell = (error: unknown) =>
    log(`unhandled: ${error instanceof Error ? error.stack : messageOf(error)}`);
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    tell(event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    tell(event.error);
  });
}
