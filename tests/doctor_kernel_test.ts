/**
 * What `scistream doctor` says of the kernel's settings and limits, each in a network of its own.
 * @module
 */
import { assertEquals } from "@std/assert";
import { assertFound, doctor, Plan } from "./doctor.ts";
import { leftOutIf, run } from "./harness.ts";
import { unavailable } from "./topology.ts";

const { ignore, because } = leftOutIf(unavailable());

/** Words that run others in a network namespace of their own, whose settings these commands change. */
function network(commands: string): string[] {
  const script = `ip link set lo up; cd /proc/sys/net/ipv4; ${commands}; exec "$@"`;
  return ["unshare", "--net", "sh", "-ec", script, "sh"];
}

Deno.test("few open files", async () => {
  using plan = await Plan.make();
  const prefix = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"];
  const found = await doctor(plan.flags, { prefix });
  assertEquals(found.problems, ["open-files"]);
  assertFound(found, "open-files", "fail", /^64 for each/, /ulimit -n 65536/);
});

Deno.test({ name: `ports that the kernel gives out itself${because}`, ignore }, async () => {
  using plan = await Plan.make();
  const { first } = plan.range;
  const ports = (reserved: string) =>
    network(
      `echo ${first + 10} 60999 > ip_local_port_range; echo ${reserved} > ip_local_reserved_ports`,
    );
  const shared = await doctor(plan.flags, { prefix: ports("700-701") });
  assertEquals(shared.problems, []);
  const kept = `net.ipv4.ip_local_reserved_ports = 700-701,${first + 10}-${first + 19}`;
  assertFound(
    shared,
    "ephemeral-ports",
    "warn",
    new RegExp(`gives out ${first + 10}-60999 by itself, also ${first + 10}-${first + 19} of`),
    new RegExp(`^printf .*'${kept}' \\| sudo tee /etc/sysctl.d/\\S+ && sudo sysctl --system$`),
  );
  const wide = await doctor([...plan.flags, `--port-range=${first}-60000`], {
    prefix: ports("700"),
  });
  assertFound(wide, "ephemeral-ports", "warn", /by itself/, /take a --port-range outside of/);
  const reserved = await doctor(plan.flags, { prefix: ports(plan.range.text) });
  assertFound(reserved, "ephemeral-ports", "ok", /are reserved/);
});

Deno.test(
  { name: `an interface with short packets, and one with long ones${because}`, ignore },
  async () => {
    using plan = await Plan.make({ ips: ["198.51.100.1"] });
    const flags = [...plan.flags, "--listener-ip=198.51.100.1"];
    const look = (mtu: number, control: string) =>
      doctor(flags, {
        prefix: network(
          `ip link add data0 mtu ${mtu} up type veth peer other0; ip addr add 198.51.100.1/24 dev data0; ` +
            `echo ${control} > tcp_congestion_control`,
        ),
      });
    const slow = await look(1500, "reno");
    assertEquals(slow.problems, []);
    assertFound(slow, "mtu", "warn", /^data0 1500: /, /sudo ip link set data0 mtu 9000$/);
    const bbr = /'net\.ipv4\.tcp_congestion_control = bbr'/;
    assertFound(slow, "congestion-control", "warn", /^reno/, bbr);
    assertFound(await look(9000, "reno"), "mtu", "ok", /^data0 9000$/);
  },
);

const noTables = (await run(["sh", "-c", "command -v iptables"])).code === 0
  ? undefined
  : "iptables is not installed";
const iptables = leftOutIf(unavailable() ?? noTables);
Deno.test({
  name: `a firewall that turns away what no rule lets in${iptables.because}`,
  ignore: iptables.ignore,
}, async () => {
  using plan = await Plan.make();
  const found = await doctor(plan.flags, { prefix: network("iptables -P INPUT DROP") });
  assertEquals(found.problems, []);
  const ports = `${plan.port},${plan.range.text.replace("-", ":")}`;
  assertFound(found, "firewall", "warn", /turns away/, new RegExp(`--dports ${ports} -j ACCEPT$`));
});
