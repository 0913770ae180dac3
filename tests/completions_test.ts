// Completion as a user of docs/user-guide.md has it: the scripts in a real bash and zsh on a terminal, and in
// a real fish.
import { assertEquals } from "@std/assert";
import { everyGroup } from "../cmd/scistream.ts";
import type { Command } from "../lib/cli/command.ts";
import { flagName } from "../lib/cli/flags.ts";
import { TYPE_NAMES } from "../lib/s2ds/type_names.ts";
import { RATE_POLICIES } from "../lib/protocol/values.ts";
import { missing } from "../scripts/setup.ts";
import { assertOk, KEYBOARD, leftOutIf, run, Running, scistream, tempFolder } from "./harness.ts";

const ROOT = new URL("..", import.meta.url).pathname;

const GROUPS = await everyGroup();
const NAMES = GROUPS.map((group) => group.name);
const PROGRAMS = ["scistream", ...GROUPS.filter((each) => each.program).map(({ name }) => name)];
const ROLES = ["CONS", "PROD"];

/** Answers what is offered for the last word of a command line. */
type Ask = (line: string) => Promise<string[]>;

/** What must be offered, whichever shell asks. */
async function check(ask: Ask): Promise<void> {
  const expect = async (line: string, words: readonly string[]) =>
    assertEquals(await ask(line), [...words].sort(), line);

  await expect("scistream ", [...NAMES, "help", "version"]);
  await expect("scistream s2", ["s2cs", "s2ds", "s2uc"]);
  await expect("scistream help ", NAMES);
  await expect("scistream completions ", ["bash", "zsh", "fish"]);
  await expect("scistream unknown ", []);
  for (const group of GROUPS) {
    const others = group.commands.filter((each) => each.name !== group.standard);
    const standard = group.commands.find((each) => each.name === group.standard);
    const programs = [`scistream ${group.name}`, ...group.program ? [group.name] : []];
    for (const program of programs) {
      if (standard) await expect(`${program} --`, spellings(standard));
      else await expect(`${program} `, others.map((each) => each.name));
      for (const each of others) await expect(`${program} ${each.name} --`, spellings(each));
    }
    if (!standard) await expect(`scistream help ${group.name} `, others.map((each) => each.name));
  }

  for (const program of ["s2cs", "scistream s2cs"]) {
    await expect(`${program} --type `, TYPE_NAMES);
    await expect(`${program} -t Ha`, ["Haproxy", "HaproxySubprocess"]);
    await expect(`${program} --verbose --rate-policy `, RATE_POLICIES);
  }
  await expect("s2cs --wan t", ["tls"]);
  await expect("s2uc prod_req --num", ["--num-conn"]);
  await expect("appctrl mock UID 10.0.0.1:5007 TOKEN ", ROLES);
  for (const off of ["--ssl=False", "--ssl False", "--no-ssl"]) {
    await expect(`appctrl run UID --config x ${off} 10.0.0.1:5007 TOKEN P`, ["PROD"]);
  }
  await expect("appctrl run UID 10.0.0.1:5007 TOKEN PROD -- cat ", ["a file.txt", "b.txt", "sub"]);
  await expect("appctrl run UID 10.0.0.1:5007 TOKEN PROD -- iperf3", ["iperf3"]);

  for (const line of ["s2uc list --config ", "cert --out-crt ", "s2ds --control-socket "]) {
    const program = line.startsWith("cert") ? `scistream ${line}` : line;
    await expect(program, ["a file.txt", "b.txt", "sub"]);
  }
  await expect("s2uc list --config b", ["b.txt"]);
  await expect("s2cs --state-dir ", ["sub"]);
  for (
    const free of ["s2uc list --scope ", "s2uc check-status ", "appctrl mock UID ", "s2cs --port "]
  ) {
    await expect(free, []);
  }
}

/** Every flag of a command, and what switches one off that is on by itself. */
function spellings({ flags }: Command): string[] {
  const names = Object.entries(flags).flatMap(([key, flag]) => {
    const isOn = flag.value === undefined && flag.default === "True";
    return isOn ? [flagName(key), `no-${flagName(key)}`] : [flagName(key)];
  });
  return [...names, "help"].map((name) => `--${name}`);
}

/** A folder with files to complete, and the one around it, for what a test needs more. */
interface Folder {
  here: string;
  beside: string;
}

function files(): Folder & Disposable {
  const folder = tempFolder();
  const here = `${folder.path}/here`;
  Deno.mkdirSync(`${here}/sub`, { recursive: true });
  for (const name of ["a file.txt", "b.txt"]) Deno.writeTextFileSync(`${here}/${name}`, "");
  return { here, beside: folder.path, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** A home of its own: a shell makes files there, and fish its folder of configurations. */
const home = (path: string) => ({ HOME: path, XDG_CONFIG_HOME: `${path}/.config` });

/** A shell's script in a file. */
async function script(shell: string, folder: string): Promise<string> {
  const path = `${folder}/script`;
  Deno.writeTextFileSync(path, assertOk(await scistream(["completions", shell])).out);
  assertOk(await run([shell, "-n", path], { env: home(folder) }));
  return path;
}

/**
 * A shell on a terminal that is asked by typing: Ctrl-O puts all that is offered into the command
 * line, and the command that is then run prints its words.
 */
async function onTerminal(
  command: string,
  { here, beside }: Folder,
  setUp: string[],
  env: Record<string, string> = {},
): Promise<{ ask: Ask } & AsyncDisposable> {
  const shell = new Running(["script", "--quiet", "--command", command, "/dev/null"], {
    cwd: here,
    stdin: KEYBOARD,
    env: { TERM: "dumb", LC_ALL: "C.UTF-8", HISTFILE: "", ...home(beside), ...env },
  });
  const printers = PROGRAMS.map((name) =>
    `${name}() { printf '<%s>' "$@"; printf '[end%s]\\n' "$((++count))"; }`
  );
  Deno.writeTextFileSync(`${beside}/rc`, [...setUp, ...printers, ""].join("\n"));
  // A line of the terminal is long enough for all that is offered.
  await shell.type("stty cols 9999; . ../rc; echo rea''dy");
  await shell.line(/^ready/m);
  let count = 0;
  return {
    async ask(line) {
      const seen = shell.out.length;
      await shell.type(`${line}\x0f`);
      await shell.line(new RegExp(`\\[end${++count}\\]`));
      const printed = /(?<=\r\n)((?:<.*>)*)\[end/.exec(shell.out.slice(seen))?.[1] ?? "";
      const words = [...printed.matchAll(/<(.*?)>/g)].map((match) => match[1] as string);
      // The words before the last one are those that were typed.
      return words.slice(line.split(" ").length - 2).map(bare).sort();
    },
    async [Symbol.asyncDispose]() {
      await shell.type("exit");
      await shell.ended;
    },
  };
}

const BASH = [
  "bind 'set enable-bracketed-paste off'",
  `bind '"\\C-o": insert-completions'`,
];

const ZSH = [
  "autoload -Uz compinit && compinit -u -D",
  "zle -C all complete-word _generic",
  "zstyle ':completion:all:*' completer _all_matches _complete",
  "zstyle ':completion:all:*' insert true",
  "bindkey '^O' all",
];

/** Asks a fish that has done something first. */
function inFish(first: string, { here, beside }: Folder, env: Record<string, string> = {}) {
  return async (line: string): Promise<string[][]> => {
    const asked = ["fish", "-c", `${first}complete -C '${line}'`];
    const { out } = assertOk(await run(asked, { cwd: here, env: { ...home(beside), ...env } }));
    return out.split("\n").filter(Boolean).map((row) => row.split("\t"));
  };
}

/** A word without what a shell adds to go on: `sub/`, `--wan=`, and the flag of `--wan=tls`. */
function bare(word: string): string {
  return word.replace(/[/=]$/, "").replace(/^--[a-z-]+=/, "");
}

const words = (rows: string[][]) => rows.map(([word = ""]) => bare(word)).sort();

const lacking = missing().filter((each) =>
  ["bash-completion", "fish", "man-db", "zsh"].includes(each)
);
const { ignore, because } = leftOutIf(
  lacking.length > 0 ? `${lacking.join(", ")} not installed` : undefined,
);

Deno.test("bash completes every command, flag, choice and path", async () => {
  using folder = files();
  const source = `source ${await script("bash", folder.beside)}`;
  await using shell = await onTerminal("bash --norc -i", folder, [...BASH, source]);
  await check(shell.ask);
  assertEquals(await shell.ask("s2cs --rate_policy res"), ["reserve"]);
  assertEquals(await shell.ask("s2cs --wan=p"), ["plain"]);
  assertEquals(await shell.ask("s2cs --config=b"), ["b.txt"]);
});

Deno.test(
  { name: `zsh completes every command, flag, choice and path${because}`, ignore },
  async () => {
    using folder = files();
    const source = `source ${await script("zsh", folder.beside)}`;
    await using shell = await onTerminal("zsh -f -i", folder, [...ZSH, source]);
    await check(shell.ask);
    assertEquals(await shell.ask("s2cs --wan=p"), ["plain"]);
  },
);

Deno.test(
  { name: `fish completes every command, flag, choice and path${because}`, ignore },
  async () => {
    using folder = files();
    const ask = inFish(`source ${await script("fish", folder.beside)}; `, folder);
    await check(async (line) => words(await ask(line)));
    assertEquals(words(await ask("s2cs --wan=p")), ["plain"]);
    assertEquals(await ask("s2uc list --s2c"), [[
      "--s2cs",
      "the control server; several may be given",
    ]]);
  },
);

Deno.test({ name: `what install.sh places is found by itself${because}`, ignore }, async () => {
  using folder = files();
  const prefix = `${folder.beside}/prefix`;
  assertOk(await run([`${ROOT}scripts/install.sh`, prefix]));
  const names = (path: string) =>
    [...Deno.readDirSync(`${prefix}/${path}`)].map(({ name }) => name);
  assertEquals(names("bin").sort(), PROGRAMS.toSorted());
  assertEquals(names("share/bash-completion/completions").sort(), PROGRAMS.toSorted());
  const env = { XDG_DATA_HOME: `${prefix}/share`, PATH: `${prefix}/bin:${Deno.env.get("PATH")}` };
  const asked = ["s2uc check-st", "scistream cert --da", "appctrl mock a b:1 c P"];
  const answers = [["check-status"], ["--days"], ["PROD"]];
  const all = async (ask: Ask) => {
    for (const [i, line] of asked.entries()) assertEquals(await ask(line), answers[i], line);
  };

  const loader = "source /usr/share/bash-completion/bash_completion";
  await using bash = await onTerminal("bash --norc -i", folder, [...BASH, loader], env);
  await all(bash.ask);
  const path = `fpath=(${prefix}/share/zsh/site-functions $fpath)`;
  await using zsh = await onTerminal("zsh -f -i", folder, [path, ...ZSH], env);
  await all(zsh.ask);
  const fish = inFish("", folder, env);
  await all(async (line) => words(await fish(line)));
  for (const page of ["s2uc-check-status.1", "scistream.toml.5"]) {
    const name = page.slice(0, -2);
    const section = page.slice(-1);
    const found = assertOk(await run(["man", "-w", name], { env: { ...env, MANPATH: "" } })).out;
    assertEquals(found, `${prefix}/share/man/man${section}/${page}\n`);
  }
});

Deno.test("a shell that there is no script for is refused by name", async () => {
  const { code, err } = await scistream(["completions", "tcsh"]);
  assertEquals([code, err], [2, 'error: "tcsh" is none of bash, zsh, fish\n']);
});
