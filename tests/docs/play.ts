/**
 * Runs a page's blocks in order, on hosts of its own (tests/topology.ts): what a reader would type,
 * on whose machine, and what they would see.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { eventually, Running, SCISTREAM } from "../harness.ts";
import { type Host, type Network, onNetwork, USER } from "../topology.ts";
import { type Block, literally, type Run, useOf, wasPrinted } from "./page.ts";

const CHECKOUT = new URL("../..", import.meta.url).pathname;
/** A page that waits for something that never comes ends after this. */
const HANG_MS = 120_000;
const PLAIN: Run = { kind: "run", replaced: [] };

/** What a block started, and what it said. */
interface Started {
  text: string;
  process: Running;
  background: boolean;
}

/** Runs the blocks of a page. */
export async function play(blocks: readonly Block[]): Promise<void> {
  await onNetwork([...USER], HANG_MS, async (network) => {
    const stage = new Stage(network);
    for (const [i, block] of blocks.entries()) {
      const use = useOf(block, blocks[i - 1]);
      if (use === "command") await stage.run(block);
      if (use === "file") stage.write(block);
      if (use === "output") await stage.expect(block);
    }
    await stage.end();
    assertEquals(await network.processes(), [], "nothing runs when the page is over");
  });
}

class Stage {
  readonly #network: Network;
  readonly #started: Started[] = [];
  readonly #bin: string;
  /** What every machine of the page can see, as Vagrant's /vagrant. */
  readonly #shared: string;

  constructor(network: Network) {
    this.#network = network;
    const folder = network.host("user").folder;
    this.#bin = `${folder}/bin`;
    this.#shared = `${folder}/shared`;
    Deno.mkdirSync(this.#shared);
    Deno.mkdirSync(this.#bin);
    const words = SCISTREAM.map((word) => `'${word}'`).join(" ");
    this.#command("scistream", `${words} "$@"`);
    for (const name of ["s2cs", "s2uc", "appctrl", "s2ds"]) {
      this.#command(name, `${words} ${name} "$@"`);
    }
    // What `npx -y deno@2.9.3` would fetch is what runs this test.
    this.#command("npx", `'${Deno.execPath()}' "\${@:3}"`);
  }

  #command(name: string, line: string): void {
    Deno.writeTextFileSync(`${this.#bin}/${name}`, `#!/bin/bash\nexec ${line}\n`, { mode: 0o755 });
  }

  async run({ text, marker }: Block): Promise<void> {
    const run = marker?.kind === "run" ? marker : PLAIN;
    const host = this.#network.host(run.on ?? "user");
    const replaced: [string, string][] = [["/vagrant/", `${this.#shared}/`], ...run.replaced];
    let script = replaced.reduce((text, [from, to]) => text.replaceAll(from, to), text);
    if (run.until ?? run.ctrlC) script = lastExecuted(script);
    const home = `${host.folder}/home`;
    Deno.mkdirSync(home, { recursive: true });
    const process = host.start(["bash", "-e", "-o", "pipefail", "-c", `exec 2>&1\n${script}`], {
      ...run.inCheckout && { cwd: CHECKOUT },
      env: {
        PATH: `${this.#bin}:${DENO}:${Deno.env.get("PATH")}`,
        HOME: home,
        DENO_DIR,
        NO_COLOR: "1",
        XDG_CONFIG_HOME: `${home}/.config`,
        CHECKOUT,
      },
    });
    this.#started.push({ text, process, background: run.until !== undefined });
    if (run.until !== undefined) {
      const { until } = run;
      return typeof until === "number" ? await host.listening(until) : await said(process, until);
    }
    if (run.ctrlC !== undefined) {
      await said(process, run.ctrlC);
      process.child.kill("SIGINT");
    }
    const { code, out } = await process.ended;
    assertEquals(code, run.exits ?? 0, `${host.name}$ ${text}\n${out}`);
  }

  write({ text, marker }: Block): void {
    assert(marker?.kind === "file");
    const host: Host = this.#network.host(marker.on ?? "user");
    const path = `${host.folder}/${marker.name.replace(/^~\//, "home/")}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(path, `${text}\n`);
  }

  async expect({ text, marker }: Block): Promise<void> {
    const command = marker?.kind === "printed by" ? marker.command : undefined;
    const started = this.#started.findLast((each) =>
      command === undefined || each.text.includes(command)
    );
    assert(started, `nothing was started that says ${command}`);
    const { process } = started;
    if (started.background) {
      await eventually(
        `it is printed:\n${text}\nby ${started.text}`,
        () => wasPrinted(text, process.out),
      )
        .catch((error) => assert(false, `${error.message}\nprinted:\n${process.out}`));
    }
    assert(wasPrinted(text, process.out), `the page says:\n${text}\nprinted:\n${process.out}`);
  }

  /** Ends what is left in the background, the latest first. What has ended by itself must have ended well. */
  async end(): Promise<void> {
    for (const { process, text, background } of this.#started.toReversed()) {
      if (!background) continue;
      const settled = await Promise.race([process.ended, Promise.resolve(undefined)]);
      if (settled) assertEquals(settled.code, 0, `${text}\n${settled.out}`);
      else await process.stop();
    }
  }
}

/** Waits until a text is printed. */
async function said(process: Running, text: string): Promise<void> {
  await process.line(new RegExp(literally(text)));
}

/** The script, whose last command takes the shell's place: a signal must reach that. */
function lastExecuted(script: string): string {
  const lines = script.replaceAll("\\\n", " ").trim().split("\n");
  return [...lines.slice(0, -1), `exec env ${lines.at(-1)}`].join("\n");
}

/** The folder of the program that runs this test. */
const DENO = Deno.execPath().slice(0, Deno.execPath().lastIndexOf("/"));
/** Where packages are; a HOME of its own has none. */
const DENO_DIR: string = JSON.parse(
  new TextDecoder().decode(
    new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync().stdout,
  ),
).denoDir;
