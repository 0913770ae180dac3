/**
 * What a command may do: it keeps what it needs of what the executable was granted, and gives the
 * rest up for good before it does anything. Deno's permissions bind this process's own code and its
 * workers; what `run` starts and what `ffi` loads they do not bind.
 * @module
 */

/** What the executable is granted, by Deno's names; the flags of `deno task scistream` say the same. */
export const POWERS = ["net", "read", "write", "env", "run", "ffi"] as const;
/** One of them. */
export type Power = typeof POWERS[number];

/** Of a process that was granted everything these go too. No command needs them. */
const NEVER = ["sys", "import"];

/** Of a command that talks to control servers: it reads certificates, and writes refreshed tokens. */
export const CLIENT_POWERS: readonly Power[] = ["net", "read", "write", "env"];

/** Gives up all but these. Nothing brings them back: `--no-prompt` leaves nobody to ask. */
export function keepOnly(needs: readonly Power[]): void {
  for (const name of [...NEVER, ...POWERS]) {
    if (needs.some((need) => need === name)) continue;
    Deno.permissions.revokeSync({ name } as Deno.PermissionDescriptor);
  }
}
