/**
 * What scripts/install.sh installs: a release archive to install from, and a pair of gateways that
 * run the installed commands.
 * @module
 */
import { createHash } from "node:crypto";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { VERSION } from "../lib/version.ts";
import { bundle } from "../scripts/release/bundle.ts";
import { echoes, EchoServer } from "./echo.ts";
import { assertOk, type Ended, Gateway, run, SCISTREAM } from "./harness.ts";
import { Pair } from "./pair.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** The script that is tested. */
export const INSTALL = `${ROOT}scripts/install.sh`;

/** Runs install.sh to its end. */
export function install(...args: string[]): Promise<Ended> {
  return run([INSTALL, ...args]);
}

/**
 * Makes an archive as `deno task release` does, with SHA256SUMS beside it; answers its path. The
 * executable in it is a command that runs these sources, because one cannot be compiled everywhere.
 */
export function releaseIn(folder: string, words: readonly string[] = SCISTREAM): string {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const executable = new TextEncoder().encode(`#!/bin/sh\nexec ${quoted} "$@"\n`);
  const name = `scistream-${VERSION}-${Deno.build.target}`;
  const bytes = bundle(ROOT, executable, name, 1_700_000_000);
  const file = `${name}.tar.gz`;
  Deno.writeFileSync(`${folder}/${file}`, bytes);
  const sum = createHash("sha256").update(bytes).digest("hex");
  Deno.writeTextFileSync(`${folder}/SHA256SUMS`, `${sum}  ${file}\n`);
  return `${folder}/${file}`;
}

/** A control server that is started as installed, by its name. */
export class InstalledGateway extends Gateway {
  constructor(readonly bin: string) {
    super();
  }

  override async launch(port: number, ...flags: string[]): Promise<void> {
    const [, ...words] = this.s2cs(port, flags);
    await this.run([`${this.bin}/s2cs`, ...words], {});
  }
}

/** Two gateways of what is installed in `bin`. */
export async function installedPair(bin: string): Promise<Pair> {
  const gateways = [new InstalledGateway(bin), new InstalledGateway(bin)] as const;
  for (const gateway of gateways) {
    await gateway.certify();
    await gateway.launch(0);
  }
  return Pair.of(...gateways);
}

/** Asserts that what is installed in `bin` does its main job: it tells its version, helps, and streams. */
export async function assertWorks(bin: string): Promise<void> {
  const said = async (...words: string[]) => {
    const [name, ...args] = words;
    return assertOk(await run([`${bin}/${name}`, ...args])).out;
  };
  assertMatch(await said("scistream", "--version"), /^scistream 0\.\d+\.\d+ \(/);
  assertMatch(await said("s2cs", "--version"), /^s2cs, version: 0\.\d+\.\d+ \(/);
  assertStringIncludes(await said("s2uc", "--help"), "prod-req");
  assertStringIncludes(await said("appctrl", "mock", "--help"), "UID S2CS ACCESS_TOKEN ROLE [IP]");
  assertEquals((await run([`${bin}/s2uc`, "bogus"])).code, 2);
  await using echo = new EchoServer();
  await using pair = await installedPair(bin);
  const stream = await pair.connect(echo.endpoint);
  assert(await echoes(stream.cons[0] as string, "through what is installed"));
  await pair.release(stream);
}
