/**
 * What this machine tells of itself. Deno shows /proc and /sys only to processes that may do
 * everything, so small programs that every Linux has are asked.
 * @module
 */

/** What a program that has ended said. */
export interface Said {
  code: number;
  out: string;
  err: string;
}

/** An interface that is up. */
export interface Interface {
  name: string;
  /** Bytes; undefined where the machine does not say. */
  mtu?: number;
  loopback: boolean;
  addresses: readonly string[];
}

/** Debian has servers and `ip` where only root's PATH looks. */
const FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/** Programs at once: each takes descriptors, of which there may be few. */
const MOST_AT_ONCE = 4;
/** Interfaces that container engines and hypervisors make: no stream comes in there. */
const VIRTUAL = /^(docker|br-|veth|virbr|podman|cni|flannel|cali)/;

let running = 0;
const waiting: (() => void)[] = [];

/** Runs a program to its end; undefined where there is none of this name. */
export async function ask(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<Said | undefined> {
  if (running >= MOST_AT_ONCE) await new Promise<void>((go) => waiting.push(go));
  running++;
  try {
    signal?.throwIfAborted();
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      signal,
      stdin: "null",
      clearEnv: true,
      env: { PATH: [Deno.env.get("PATH") || "/usr/bin:/bin", ...FOLDERS].join(":"), LANG: "C" },
    }).output();
    const text = new TextDecoder();
    return { code, out: text.decode(stdout), err: text.decode(stderr) };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    throw error;
  } finally {
    running--;
    waiting.shift()?.();
  }
}

/** The kernel's settings (sysctl) by their names; those that it has not are not there. */
export async function kernelSettings(
  names: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  await Promise.all(names.map(async (name) => {
    const said = await ask("cat", [`/proc/sys/${name.replaceAll(".", "/")}`], signal);
    if (said?.code === 0) found.set(name, said.out.trim().replace(/\s+/g, " "));
  }));
  return found;
}

/** The interfaces that are up, without those of containers; none where the machine does not tell. */
export async function interfaces(signal?: AbortSignal): Promise<Interface[]> {
  const said = await ask("ip", ["-j", "addr", "show", "up"], signal);
  if (said?.code === 0) return readInterfaces(said.out);
  // Of busybox and others: addresses only, without the loopback's.
  const hosts = await ask("hostname", ["-I"], signal);
  const addresses = hosts?.code === 0 ? hosts.out.trim().split(/\s+/).filter(Boolean) : [];
  return addresses.length > 0 ? [{ name: "", loopback: false, addresses }] : [];
}

/** What `ip -j addr` says. */
function readInterfaces(json: string): Interface[] {
  type Shown = {
    ifname?: string;
    mtu?: number;
    link_type?: string;
    addr_info?: { local?: string; scope?: string }[];
  };
  // iproute2 before 5.0 writes {} for what its filter left out.
  return (JSON.parse(json || "[]") as Shown[]).flatMap(({ ifname, mtu, link_type, addr_info }) => {
    if (ifname === undefined || VIRTUAL.test(ifname)) return [];
    const addresses = (addr_info ?? []).flatMap(({ local, scope }) =>
      local !== undefined && scope !== "link" ? [local] : []
    );
    return [{ name: ifname, mtu, loopback: link_type === "loopback", addresses }];
  });
}

/** Addresses that other machines could reach. */
export async function ownAddresses(signal?: AbortSignal): Promise<string[]> {
  const all = await interfaces(signal);
  return all.filter(({ loopback }) => !loopback).flatMap(({ addresses }) => addresses);
}
