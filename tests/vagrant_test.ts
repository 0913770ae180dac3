/**
 * The Vagrantfile: Ruby reads it, with a stand-in for Vagrant that writes down what it is told.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { missing } from "../scripts/setup.ts";
import { assertOk, leftOutIf, run, tempFolder } from "./harness.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** What Vagrant's names do here: each block's settings and calls become a record. */
const VAGRANT = `
require "json"
class Record
  attr_reader :said
  def initialize; @said = []; end
  def vm; self; end
  def method_missing(name, *words, **options, &block)
    if block
      inner = Record.new
      block.call(inner)
      @said << [name, words, inner.said]
    else
      @said << [name, words, options]
    end
  end
  def respond_to_missing?(*) = true
end
module Vagrant
  def self.configure(version)
    raise version unless version == "2"
    record = Record.new
    yield record
    puts record.said.to_json
  end
end
load ARGV[0]
`;

/** `[name, words, settings or what is said within]`. */
type Said = [name: string, words: string[], more: Record<string, unknown> | Said[]];

async function evaluated(vagrantfile: string): Promise<Said[]> {
  return JSON.parse(assertOk(await run(["ruby", "-w", "-e", VAGRANT, vagrantfile])).out);
}

const { ignore, because } = leftOutIf(
  missing().includes("ruby") ? "ruby is not installed" : undefined,
);

Deno.test({ name: `the Vagrantfile makes the tutorial's hosts${because}`, ignore }, async () => {
  assertEquals(
    assertOk(await run(["ruby", "-wc", "Vagrantfile"], { cwd: ROOT })).out,
    "Syntax OK\n",
  );
  using folder = tempFolder();
  Deno.copyFileSync(`${ROOT}Vagrantfile`, `${folder.path}/Vagrantfile`);
  const said = await evaluated(`${folder.path}/Vagrantfile`);
  const of = (name: string, all: Said[]) => all.filter((each) => each[0] === name);
  const machines = of("define", said).map(([, [name], more]) => {
    const within = more as Said[];
    assertEquals(of("hostname=", within)[0]?.[1], [name]);
    const networks = of("network", within).map(([, words, options]) => {
      assertEquals(words, ["private_network"]);
      return options as Record<string, string>;
    });
    for (const { ip, virtualbox__intnet } of networks) {
      assertEquals(virtualbox__intnet, `scistream-${ip?.split(".")[2]}`);
    }
    const addresses = networks.map(({ ip }) => ip as string);
    const [[, words, options]] = of("provision", within) as [Said];
    assertEquals(words, ["shell"]);
    assertEquals(options, {
      inline: '/vagrant/scripts/provision.sh "$@"',
      args: [
        ...["--user", "vagrant"],
        ...addresses.length > 1 ? ["--containers"] : [],
        ...addresses,
      ],
    });
    return [name, addresses.join(", ")];
  });
  // As the tutorial's table has them.
  const rows = Deno.readTextFileSync(`${ROOT}docs/tutorial.md`)
    .matchAll(/^\| (\w+) +\| (192[0-9., ]*[0-9]) +\|/gm);
  assertEquals(machines, [...rows].map(([, name, addresses]) => [name, addresses]));
  assertEquals(machines.length, 4);

  // A release that is there is what they get.
  const archive = "dist/release/0.1.0/scistream-0.1.0-x86_64-unknown-linux-gnu.tar.gz";
  Deno.mkdirSync(`${folder.path}/dist/release/0.1.0`, { recursive: true });
  Deno.writeTextFileSync(`${folder.path}/${archive}`, "");
  const again = JSON.stringify(await evaluated(`${folder.path}/Vagrantfile`));
  assert(again.includes(`"--from","/vagrant/${archive}"`), again);
});
