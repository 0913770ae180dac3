/**
 * What Git says about a checkout.
 * @module
 */

/** What `git` answers in this folder; undefined where it fails, as without a repository. */
export function git(folder: string, ...args: string[]): string | undefined {
  const { success, stdout } = new Deno.Command("git", { args, cwd: folder }).outputSync();
  return success ? new TextDecoder().decode(stdout).trim() : undefined;
}

/** The files of a commit as a tar archive, each beneath `prefix`. The same commit gives the same bytes. */
export function archive(folder: string, commit: string, prefix: string): Uint8Array<ArrayBuffer> {
  // What an umask adds to the modes must not come from whoever runs this.
  const args = ["-c", "tar.umask=0022", "archive", "--format=tar", `--prefix=${prefix}`, commit];
  const { success, stdout, stderr } = new Deno.Command("git", { args, cwd: folder }).outputSync();
  if (!success) throw new Error(`git archive: ${new TextDecoder().decode(stderr).trim()}`);
  return stdout;
}
