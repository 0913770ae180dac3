// `deno task build`: one executable in dist/, with version and commit inside.
// The permissions and V8 flags are those of `deno task scistream`. One executable is for all commands,
// so it is granted what any of them needs; each gives the rest up when it begins (lib/cli/powers.ts).
// None of the six can be narrower here:
//   net    addresses come from flags, from the calls of users and from identity providers
//   read   certificates, configurations and state are where flags, environment and $HOME say
//   write  state, audit log, certificates and proxies' configurations likewise
//   env    options have variables (SCISTREAM_…), and grpc-js fails where it may not read its own
//   run    itself as data server; sh and the proxies; the application of `appctrl run`; $BROWSER
//   ffi    ZeroMQ's library, which lies in the executable or in a package cache
// sys, import and prompts are never granted.
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("..", import.meta.url);
const STAMP = new URL("lib/commit.json", ROOT);
const flags = config.tasks.scistream.split(" ").filter((word) => /^--(allow|v8)-/.test(word));
const target = Deno.args[0];
const output = `dist/scistream${target ? `-${target}` : ""}`;

const git = new Deno.Command("git", { args: ["rev-parse", "--short=12", "HEAD"], cwd: ROOT })
  .outputSync();
const commit = git.success ? new TextDecoder().decode(git.stdout).trim() : "unknown commit";
const unstamped = Deno.readTextFileSync(STAMP);
let built: Deno.CommandOutput;
try {
  Deno.writeTextFileSync(STAMP, JSON.stringify({ commit }) + "\n");
  built = new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--quiet",
      "--no-prompt",
      ...flags,
      "--exclude-unused-npm",
      ...target ? ["--target", target] : [],
      "--output",
      output,
      "cmd/scistream.ts",
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).outputSync();
} finally {
  Deno.writeTextFileSync(STAMP, unstamped);
}
if (!built.success) {
  const text = new TextDecoder().decode(built.stderr);
  const why = text.split("\n").map((line) => line.trim()).filter((line) =>
    /error|download|denort/i.test(line)
  );
  console.error(`not built: ${why.join(" ") || text.trim()}`);
  console.error(
    "deno compile needs the runtime denort: it downloads it, or takes the one that DENORT_BIN names",
  );
  Deno.exit(1);
}
console.log(`built ${output} of commit ${commit}`);
