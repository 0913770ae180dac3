/**
 * A Debian machine of a test's own: a folder that debootstrap makes, and commands that see it as /.
 * It has no systemd that runs, and the network of this machine.
 * @module
 */
import { missing } from "../scripts/setup.ts";
import { assertOk, type Ended, run, Running, SCISTREAM, tempFolder } from "./harness.ts";

const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
/** Made once and kept, where `deno task build` puts what it makes. */
const KEPT = `${ROOT}/dist/debian.tar`;
/** Where this machine's Deno, its package cache and these sources are inside. */
const INSIDE = { deno: "/opt/deno", cache: "/opt/cache", tree: "/vagrant" };

/** Why there can be no such machine here, or undefined. */
export function whyNoDebian(): string | undefined {
  if (Deno.build.os !== "linux") return "debootstrap is of Linux alone";
  if (Deno.uid() !== 0) return "only root changes its root";
  return missing().includes("debootstrap") ? "debootstrap is not installed" : undefined;
}

/** The machine. Disposal leaves nothing. */
export class Debian implements Disposable {
  readonly #folder = tempFolder();
  /** Its files, as this machine sees them. */
  readonly root = `${this.#folder.path}/root`;
  /** The command that runs these sources there. */
  readonly scistream: string[] = [
    "env",
    `DENO_DIR=${INSIDE.cache}`,
    `${INSIDE.deno}/${Deno.execPath().split("/").at(-1)}`,
    ...SCISTREAM.slice(1).map((word) => word.replace(`${ROOT}/`, `${INSIDE.tree}/`)),
  ];

  /** Makes one as small as it gets, with this machine's settings of apt. */
  static async make(): Promise<Debian> {
    const debian = new Debian();
    try {
      await debian.#fill();
      return debian;
    } catch (error) {
      debian[Symbol.dispose]();
      throw error;
    }
  }

  async #fill(): Promise<void> {
    const { root } = this;
    Deno.mkdirSync(root);
    try {
      Deno.statSync(KEPT);
    } catch {
      await this.#bootstrap();
    }
    assertOk(await run(["tar", "-x", "-p", "-f", KEPT, "-C", root]));
    const apt = "rm -r $0/etc/apt && cp -a /etc/apt $0/etc/ && cp -L /etc/resolv.conf $0/etc/";
    assertOk(await run(["sh", "-c", apt, root]));
    for (const path of Object.values(INSIDE)) Deno.mkdirSync(root + path);
  }

  async #bootstrap(): Promise<void> {
    const fresh = `${this.#folder.path}/fresh`;
    const words = ["indextargets", "--format", "$(CODENAME) $(REPO_URI) $(ORIGIN)"];
    const { out } = assertOk(await run(["apt-get", ...words, "Identifier: Packages"]));
    // The first is the release itself, before its updates.
    const [, suite, mirror] = /^(\S+) (\S+) Debian$/m.exec(out) ?? [];
    if (!suite || !mirror) throw new Error(`apt-get knows no Debian: ${out}`);
    assertOk(await run(["debootstrap", "--variant=minbase", suite, fresh, mirror]));
    Deno.mkdirSync(`${ROOT}/dist`, { recursive: true });
    const pack =
      'rm -rf "$0"/var/cache/apt/archives/*.deb && tar -c -f "$1.$$" -C "$0" . && mv "$1.$$" "$1"';
    assertOk(await run(["sh", "-c", pack, fresh, KEPT]));
    Deno.removeSync(fresh, { recursive: true });
  }

  /** Starts a command there. Deno, the cache and the sources are mounted for it alone. */
  start(command: readonly string[]): Running {
    const mounts: [string, string][] = [
      [Deno.execPath().replace(/\/[^/]+$/, ""), INSIDE.deno],
      [denoDir(), INSIDE.cache],
      [ROOT, INSIDE.tree],
    ];
    const script = [
      "set -e",
      ...mounts.flatMap(([from, to]) => [
        `mount --bind '${from}' '${this.root}${to}'`,
        `mount -o remount,bind,ro '${this.root}${to}'`,
      ]),
      `mount -t proc proc '${this.root}/proc'`,
      `exec chroot '${this.root}' "$@"`,
    ].join("\n");
    const path = `${INSIDE.deno}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    const env = { PATH: path, HOME: "/root", DENO_DIR: INSIDE.cache, TMPDIR: "/tmp" };
    const apart = [
      "/usr/bin/unshare",
      "--mount",
      "--pid",
      "--fork",
      "--kill-child",
      "/bin/sh",
      "-c",
    ];
    return new Running([...apart, script, "sh", ...command], { env });
  }

  /** Ends a command, and everything that it started there. */
  async kill(running: Running): Promise<void> {
    const { pid } = running.child;
    const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`);
    // The first process of the namespace, whose others the system ends with it.
    Deno.kill(Number(children), "SIGKILL");
    await running.ended;
  }

  /** Runs a command there to its end. */
  run(...command: string[]): Promise<Ended> {
    return this.start(command).ended;
  }

  /** Every file there with owner, mode and contents, a line each. */
  async files(): Promise<string[]> {
    const list = 'cd "$0" && find . -printf "%p %u %g %m %y %l\\n" | sort && ' +
      "find . -type f -print0 | sort -z | xargs -0 sha256sum";
    return assertOk(await run(["sh", "-c", list, this.root])).out.trim().split("\n");
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

function denoDir(): string {
  const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}
