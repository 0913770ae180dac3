/** Programs that open a page, by operating system; BROWSER names another (freedesktop.org's convention). */
const OPENERS: Partial<Record<string, string>> = { linux: "xdg-open", darwin: "open" };

/** Opens a page in the user's browser; answers whether that could be tried. */
export function openBrowser(url: string, env: (name: string) => string | undefined): boolean {
  const program = env("BROWSER") ?? OPENERS[Deno.build.os];
  if (!program) return false;
  try {
    new Deno.Command(program, { args: [url], stdin: "null", stdout: "null", stderr: "null" })
      .spawn().unref();
    return true;
  } catch {
    return false;
  }
}
