// What the templates make, held against files. `UPDATE_GOLDEN=1 deno task test lib/s2ds/proxy` writes them anew.
import { assertEquals } from "@std/assert";
import { Endpoint } from "../../protocol/endpoint.ts";
import { Uid } from "../../protocol/uid.ts";
import type { Role } from "../../protocol/values.ts";
import { haproxy } from "../haproxy.ts";
import { nginx } from "../nginx.ts";
import { stunnel } from "../stunnel.ts";
import type { Channel, Plan, Proxy } from "./proxy.ts";

const uid = Uid.parse("4f8583bc-a4d3-11ee-9fd6-034d1fcbd7c3");
const FOLDER = new URL("../../../tests/golden/", import.meta.url);
const UPDATE = Deno.env.get("UPDATE_GOLDEN") === "1";

function plan(role: Role, channels: Channel[]): Plan {
  return {
    role,
    channels,
    paths: { config: "/etc/proxy", run: "/run/scistream" },
    limits: { threads: 2, connections: 1024, memory: 2048 },
  };
}

const at = (text: string) => Endpoint.parse(text);
const waiting = [{ listener: at("192.168.10.11:5100") }, { listener: at("192.168.10.11:5101") }];
const streaming = [
  { listener: at("0.0.0.0:5100"), target: at("192.168.10.10:5001") },
  { listener: at("[::]:5101"), target: at("[fd00::10]:5001") },
  { listener: at("[fd00::1]:5102"), target: at("instrument-1.beamline_2.example.org:5001") },
];

const CASES: [string, Proxy, Plan][] = [
  ["haproxy-waiting", haproxy, plan("PROD", waiting)],
  ["haproxy", haproxy, plan("PROD", streaming)],
  ["nginx-waiting", nginx, plan("PROD", waiting)],
  ["nginx", nginx, plan("PROD", streaming)],
  ["stunnel-waiting", stunnel("default"), plan("PROD", waiting)],
  ["stunnel-producer", stunnel("default"), plan("PROD", streaming)],
  ["stunnel-consumer", stunnel("default"), plan("CONS", streaming)],
  ["stunnel-consumer-null", stunnel("null"), plan("CONS", streaming)],
];

for (const [name, proxy, given] of CASES) {
  Deno.test(`golden: ${name}`, async () => {
    for (
      const { name: file, text } of [proxy.config(given), ...await proxy.files?.(given, uid) ?? []]
    ) {
      // A certificate is another one each time.
      if (file.endsWith(".pem")) continue;
      const path = new URL(`${name}.${file.split(".")[1]}`, FOLDER);
      if (UPDATE) Deno.writeTextFileSync(path, text);
      assertEquals(text, Deno.readTextFileSync(path));
    }
  });
}

Deno.test("golden: every file is of a case that is tested", () => {
  const known = CASES.flatMap(([name]) => [`${name}.cfg`, `${name}.conf`, `${name}.key`]);
  const strangers = [...Deno.readDirSync(FOLDER)].filter(({ name }) => !known.includes(name));
  assertEquals(strangers, []);
});
