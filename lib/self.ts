/**
 * Starting this very program again as a child.
 * @module
 */

/** What a child of ours may do; `deno compile` gives every child what the binary was given instead. */
export interface ChildPermissions {
  /** Folders that it reads and writes. */
  folders: string[];
}

// A path and not an import: the arrows between the rooms are about code, and the child is a
// program of its own.
const ENTRY = new URL("../cmd/scistream.ts", import.meta.url);

/**
 * Asked at the start: once an upgrade has put another file there, the system's answer is a path with
 * " (deleted)" behind it. Children that are started after that are of the new version.
 */
const EXECUTABLE = Deno.execPath();

/** Environment that a child needs; secrets in ours stay ours. */
const PASSED_ON = ["HOME", "PATH", "DENO_DIR", "TMPDIR", "LANG", "NO_COLOR", "XDG_CACHE_HOME"];

/** The command that runs `scistream` with these arguments, from source or from the binary. */
export function selfCommand(
  args: string[],
  permissions: ChildPermissions,
  options: Omit<Deno.CommandOptions, "args">,
): Deno.Command {
  const folders = permissions.folders.join(",");
  const prefix = Deno.build.standalone ? [] : [
    "run",
    "--quiet",
    "--no-prompt",
    "--cached-only",
    // Deno keeps one compiled form of a module, and of other V8 flags it is thrown away: the control
    // server, which has others, would compile all of its own anew at every start.
    "--no-code-cache",
    "--v8-flags=--expose-gc",
    "--allow-net",
    "--allow-env",
    `--allow-read=${folders}`,
    `--allow-write=${folders}`,
    ENTRY.pathname,
  ];
  const env: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = Deno.env.get(name);
    if (value !== undefined) env[name] = value;
  }
  return new Deno.Command(EXECUTABLE, {
    ...options,
    args: [...prefix, ...args],
    clearEnv: true,
    env,
  });
}
