import type { Endpoint } from "../../protocol/endpoint.ts";

/** Which of these ports a program's log says that it could not have, because somebody else has them. */
export function portsInUse(lines: readonly string[], listeners: readonly Endpoint[]): number[] {
  const told = lines.filter((line) => /address (already )?in use/i.test(line)).join("\n");
  return listeners.map(({ port }) => port).filter((port) =>
    new RegExp(`:${port}(?![0-9])`).test(told)
  );
}
