// `deno task build [TARGET]`: one executable in dist/, with version and commit inside. `deno task
// release` makes everything that is handed out.
import { ADVICE, compile } from "./release/executable.ts";
import { git } from "./release/git.ts";

const tree = new URL("..", import.meta.url).pathname;
const target = Deno.args[0];
const output = `dist/scistream${target ? `-${target}` : ""}`;

const commit = git(tree, "rev-parse", "--short=12", "HEAD") ?? "unknown commit";
const why = compile({ tree, commit, output, target });
if (why !== undefined) {
  console.error(`not built: ${why}`);
  console.error(ADVICE);
  Deno.exit(1);
}
console.log(`built ${output} of commit ${commit}`);
