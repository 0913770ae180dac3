/**
 * `scistream doctor` for tests: on a gateway of their own, with what it found by name.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { makeCertificate } from "../lib/certificate.ts";
import type { Report } from "../lib/doctor/check.ts";
import { freePort, portRange, run, SCISTREAM, tempFolder } from "./harness.ts";

/** What a run of it came to. */
export interface Examined {
  code: number;
  err: string;
  reports: Map<string, Report>;
  /** Names of what is a problem. */
  problems: string[];
}

/** Runs it. */
export async function doctor(
  args: readonly string[],
  { prefix = [], env }: { prefix?: readonly string[]; env?: Record<string, string> } = {},
): Promise<Examined> {
  const words = [...prefix, ...SCISTREAM, "doctor", "--json", ...args];
  const { code, out, err } = await run(words, { env });
  const lines = out.split("\n").filter(Boolean).map((line) => JSON.parse(line) as Report);
  for (const each of lines) {
    assertEquals(Object.keys(each), ["v", "kind", "name", "status", "found", "advice"]);
    assertEquals(each.advice !== "", each.status === "warn" || each.status === "fail", each.name);
  }
  const problems = lines.filter(({ status }) => status === "fail").map(({ name }) => name);
  assertEquals(code, lines.length === 0 ? 2 : problems.length > 0 ? 1 : 0, err);
  return { code, err, reports: new Map(lines.map((each) => [each.name, each])), problems };
}

/** Asserts what a check found, by how its finding and advice read. */
export function assertFound(
  { reports }: Examined,
  name: string,
  status: Report["status"],
  found: RegExp,
  advice = /^/,
): void {
  const report = reports.get(name);
  const told = JSON.stringify(report);
  assert(report !== undefined, name);
  assertEquals(report.status, status, told);
  assert(found.test(report.found), `${found}: ${told}`);
  assert(advice.test(report.advice), `${advice}: ${told}`);
}

/** What a control server on this machine could be started with; nothing of it runs. */
export class Plan implements Disposable {
  readonly folder = tempFolder();
  readonly cert = `${this.folder.path}/server.crt`;
  readonly key = `${this.folder.path}/server.key`;
  readonly stateDir = `${this.folder.path}/state`;
  readonly port = freePort();
  readonly range = portRange(20);

  /** With a certificate for these addresses and days. */
  static async make({ ips = ["127.0.0.1"], days = 90 } = {}): Promise<Plan> {
    const plan = new Plan();
    await plan.certify(ips, days);
    return plan;
  }

  async certify(ips: string[], days: number): Promise<void> {
    const { cert, key } = await makeCertificate({ ips, names: [], days });
    Deno.writeTextFileSync(this.cert, cert);
    Deno.writeTextFileSync(this.key, key, { mode: 0o600 });
  }

  /** Flags of s2cs that say it. */
  get flags(): string[] {
    return [
      "--listener-ip=127.0.0.1",
      `--port=${this.port}`,
      `--port-range=${this.range.text}`,
      `--server-crt=${this.cert}`,
      `--server-key=${this.key}`,
      `--state-dir=${this.stateDir}`,
    ];
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}
