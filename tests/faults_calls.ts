/**
 * Calls that tests of faults make, and control servers on disks of their own.
 * @module
 */
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { type Disk, soon } from "./faults.ts";
import { type Ended, Gateway, portRange, Running, SCISTREAM } from "./harness.ts";
import { call } from "./oauth/gateway.ts";

/** A uid of its own for every session. */
export const newUid = () => Uid.random().reveal();

/** The producer's side of a session is asked for; resolves once it has its hello. */
export function req(gateway: Gateway, uid: string, num_conn = 1) {
  const answer = call(gateway, undefined, "req", { uid, role: "PROD", num_conn });
  // A test that fails before it waits for it says why by itself.
  answer.catch(() => {});
  return answer;
}

/** Its application says hello. */
export function hello(gateway: Gateway, uid: string, at = new Endpoint("127.0.0.1", 9)) {
  return call(gateway, undefined, "hello", { uid, role: "PROD", prod_listeners: [String(at)] });
}

/** It is given another target. */
export function update(gateway: Gateway, uid: string, to: Endpoint) {
  return call(gateway, undefined, "update", { uid, role: "PROD", remote_listeners: [String(to)] });
}

/** What its owner is told. */
export function status(gateway: Gateway, uid: string) {
  return call(gateway, undefined, "status", { uid });
}

/** A gateway with its state, and its audit log, on this disk, and room for four channels. */
export async function gatewayOn(disk: Disk, type: string) {
  const gateway = await Gateway.prepare();
  gateway.stateDir = disk.path;
  const range = portRange(4);
  const flags = [
    ...[`--type=${type}`, "--wan=plain", "--audit-log=", `--port-range=${range.text}`],
    "--drain-timeout=0",
  ];
  await gateway.launch(0, ...flags);
  const again = () => gateway.launch(Endpoint.parse(gateway.address).port, ...flags);
  return { gateway, flags, again };
}

/** Starts a control server of this gateway that is to end by itself. */
export async function start(gateway: Gateway, flags: string[]): Promise<Ended> {
  const process = new Running([
    ...[...SCISTREAM, "s2cs", "--listener-ip=127.0.0.1"],
    ...[`--port=${Endpoint.parse(gateway.address).port}`, `--state-dir=${gateway.stateDir}`],
    ...[`--server-crt=${gateway.cert}`, `--server-key=${gateway.key}`, ...flags],
  ]);
  try {
    return await soon("the control server gives up", process.ended);
  } finally {
    await process.stop();
  }
}
