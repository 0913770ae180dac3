/**
 * Checks of the runtime and of the system's services.
 * @module
 */
import { ask } from "../machine.ts";
import { runtimeFault, versionLine } from "../version.ts";
import { type Check, fail, type Finding, ok, skip, warn } from "./check.ts";

const UNIT = "scistream-s2cs.service";
const UNIT_FOLDERS = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/** `runtime`: whether this Deno may run a control server. */
export function runtimeCheck(version = Deno.version.deno): Check {
  return {
    name: "runtime",
    look() {
      const fault = runtimeFault(version);
      const [found = "", advice = ""] = fault?.split("; ") ?? [];
      return Promise.resolve(fault ? fail(found, advice) : ok(`scistream ${versionLine()}`));
    },
  };
}

/** `clock`: gateways prove themselves with certificates of an hour, and tokens have a time. */
export const clockCheck: Check = { name: "clock", look: clock };

async function clock(signal: AbortSignal): Promise<Finding> {
  const timedatectl = await ask(
    "timedatectl",
    ["show", "--property=NTPSynchronized", "--value"],
    signal,
  );
  const said = timedatectl?.out.trim();
  const chrony = said === "yes" || said === "no"
    ? undefined
    : (await ask("chronyc", ["-n", "tracking"], signal))?.out;
  const leap = /^Leap status\s*:\s*(.*)$/m.exec(chrony ?? "")?.[1];
  if (said === "yes") return ok("the kernel says that it is synchronised");
  if (leap !== undefined && leap !== "Not synchronised") return ok(`chrony says ${leap}`);
  if (said === "no" || leap !== undefined) {
    return warn(
      "it is not synchronised: an hour off, and no gateway proves itself to another",
      "sudo timedatectl set-ntp true, or install chrony",
    );
  }
  return skip("neither timedatectl nor chronyc tells here; see to it that it is right");
}

/** `firewall`: a hint only, because its rules can be anything, and others are on the way. */
export function firewallCheck(port: number, range: string): Check {
  return {
    name: "firewall",
    async look(signal) {
      const ports = `TCP ${port} for clients and ${range} for data`;
      const dashed = range.replace(/^(\d+)-\1$/, "$1");
      const [firewalld, ufw, chain] = await Promise.all([
        ask("firewall-cmd", ["--state"], signal),
        ask("ufw", ["status"], signal),
        ask("iptables", ["-S", "INPUT"], signal),
      ]);
      if (firewalld?.out.trim() === "running") {
        return warn(
          `firewalld runs: it must let in ${ports}`,
          `sudo firewall-cmd --permanent --add-port=${port}/tcp --add-port=${dashed}/tcp && sudo firewall-cmd --reload`,
        );
      }
      if (/Status: active/.test(ufw?.out ?? "")) {
        return warn(
          `ufw is active: it must let in ${ports}`,
          `sudo ufw allow ${port}/tcp && sudo ufw allow ${dashed.replace("-", ":")}/tcp`,
        );
      }
      if (/^-P INPUT (DROP|REJECT)/m.test(chain?.out ?? "")) {
        return warn(
          `iptables turns away what no rule lets in: there must be rules for ${ports}`,
          `sudo iptables -A INPUT -p tcp -m multiport --dports ${port},${
            dashed.replace("-", ":")
          } -j ACCEPT`,
        );
      }
      return skip(`none is seen here; those on the way must let in ${ports}`);
    },
  };
}

/** `systemd`: whether the unit is installed, and what it does. */
export const systemdCheck: Check = { name: "systemd", look: systemd };

async function systemd(signal: AbortSignal): Promise<Finding> {
  const said = await ask("systemctl", ["is-active", UNIT], signal);
  const installed = UNIT_FOLDERS.map((folder) => `${folder}/${UNIT}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (installed === undefined) {
    return skip(`${UNIT} is not installed; it is in scripts/systemd`);
  }
  const state = said?.out.trim() || "systemd does not say whether it runs";
  if (state !== "failed") return ok(`${installed}: ${state}`);
  return fail(`${installed}: ${state}`, `journalctl -u ${UNIT} -n 20 tells why`);
}
