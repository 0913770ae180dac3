/**
 * Control servers of a user who is nobody, under what the systemd unit restricts: no capability, no
 * home, a system that is read-only, a filter of system calls.
 * @module
 */
import { Gateway, SCISTREAM } from "./harness.ts";

const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
/** Whose restrictions it is under. */
export const UNIT = "scripts/systemd/scistream-s2cs.service";
/** Of `nobody` on Debian. */
export const NOBODY = 65534;

/** Why this cannot be tested here. */
export function whyNot(): string | undefined {
  return Deno.uid() === 0 ? undefined : "it takes root to become somebody else";
}

function denoDir(): string {
  const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

/**
 * The command that runs another as nobody, with this umask. Where Deno, its cache and the sources lie
 * in somebody's home they are mounted elsewhere, for this process alone.
 */
function asNobody(folder: string, umask: string): { prefix: string[]; deno: string; root: string } {
  const places = { bin: Deno.execPath().replace(/\/[^/]+$/, ""), cache: denoDir(), tree: ROOT };
  for (const name of Object.keys(places)) Deno.mkdirSync(`${folder}/${name}`, { recursive: true });
  const mounts = Object.entries(places).map(([name, from]) =>
    `mount --bind '${from}' '${folder}/${name}'`
  );
  // As the unit of scripts/systemd has it: a system that is read-only but for its own folder, devices
  // that are harmless, its own processes in /proc, a filter of system calls.
  const devices = ["null", "zero", "random", "urandom"].map((name) =>
    `touch '${folder}/dev/${name}'; mount --bind /dev/${name} '${folder}/dev/${name}'`
  );
  const world = [
    `mount --bind '${folder}' '${folder}'`,
    `mkdir -p '${folder}/dev'; mount -t tmpfs none '${folder}/dev'`,
    ...devices,
    ...mounts,
    `mount --move '${folder}/dev' /dev`,
    "mount -o remount,bind,ro /",
    "mount -t proc -o hidepid=invisible,subset=pid proc /proc",
  ];
  const script = ["set -e", ...world, `umask ${umask}`, `cd '${folder}/state'`];
  const drop = `exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups ` +
    `--bounding-set=-all --inh-caps=-all --no-new-privs ` +
    `/usr/bin/python3 '${folder}/tree/tests/restrict.py' '${folder}/tree/${UNIT}' "$@"`;
  return {
    prefix: ["unshare", "--mount", "sh", "-c", [...script, drop].join("\n"), "sh"],
    deno: `${folder}/bin/${Deno.execPath().split("/").at(-1)}`,
    root: `${folder}/tree`,
  };
}

/** A control server of nobody's, with its state, certificate and key in a folder of its own. */
export class UnprivilegedGateway extends Gateway {
  /** What its files are made with. */
  umask = "022";

  /** Starts one with this umask. */
  static async of(umask: string, ...flags: string[]): Promise<UnprivilegedGateway> {
    const gateway = new UnprivilegedGateway();
    gateway.umask = umask;
    // Where it is if nothing else is said.
    gateway.audit = "";
    await gateway.certify();
    Deno.mkdirSync(gateway.stateDir, { mode: 0o700 });
    Deno.chmodSync(gateway.folder.path, 0o755);
    for (const path of [gateway.key, gateway.stateDir]) Deno.chownSync(path, NOBODY, NOBODY);
    await gateway.launch(0, ...flags);
    return gateway;
  }

  override async launch(port: number, ...flags: string[]): Promise<void> {
    const { path } = this.folder;
    const { prefix, deno, root } = asNobody(path, this.umask);
    const [, ...words] = SCISTREAM.map((word) => word.replace(ROOT, root));
    await this.run([...prefix, deno, ...words, ...this.s2cs(port, flags)], {
      env: { ...this.env, DENO_DIR: `${path}/cache`, HOME: "/nonexistent", PATH: "/usr/bin:/bin" },
    });
  }
}
