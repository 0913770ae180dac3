/**
 * Our messages against protoc's, byte for byte (contract section 2).
 * @module
 */
import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { controlDefinition, type Method } from "../../lib/protocol/codec.ts";

const HERE = new URL(".", import.meta.url).pathname;

/** Runs protoc on the reference's messages. */
async function protoc(flag: string, input: Uint8Array): Promise<Uint8Array> {
  const child = new Deno.Command("protoc", {
    args: [`-I${HERE}`, flag, `${HERE}reference.proto`],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const writing = writer.write(input).then(() => writer.close());
  const { success, stdout, stderr } = await child.output();
  await writing;
  assertEquals(success, true, new TextDecoder().decode(stderr));
  return stdout;
}

/** A message of the contract, the method and end that carry it, values and their text format. */
interface Case {
  type: string;
  method: Method;
  end: "request" | "response";
  value: Record<string, unknown>;
  /** As protoc writes it: fields in the order of their numbers, none that has its default. */
  text: string;
}

const uid = "4f8583bc-a4d3-11ee-9fd6-034d1fcbd7c3";
const many = Array.from({ length: 300 }, (_, i) => `192.168.10.11:${5100 + i}`);

const message = (type: string, method: Method, end: Case["end"]) =>
(
  value: Case["value"],
  ...lines: string[]
): Case => ({ type, method, end, value, text: lines.map((line) => `${line}\n`).join("") });

const request = message("Request", "req", "request");
const updateTargets = message("UpdateTargets", "update", "request");
const release = message("Release", "release", "request");
const hello = message("Hello", "hello", "request");
const response = message("Response", "req", "response");
const appResponse = message("AppResponse", "hello", "response");

const CASES: Case[] = [
  request(
    { uid, role: "PROD", num_conn: 5, rate: 10000 },
    `uid: "${uid}"`,
    `role: "PROD"`,
    "num_conn: 5",
    "rate: 10000",
  ),
  request(
    { uid, role: "CONS", num_conn: 5, rate: 0 },
    `uid: "${uid}"`,
    `role: "CONS"`,
    "num_conn: 5",
  ),
  request({ uid: "", role: "", num_conn: 0, rate: 0 }),
  request({}),
  request(
    { uid: 'Zürich "∀" \\ 𝄞', role: "生産者", num_conn: -1, rate: -2147483648 },
    String.raw`uid: "Z\303\274rich \"\342\210\200\" \\ \360\235\204\236"`,
    String.raw`role: "\347\224\237\347\224\243\350\200\205"`,
    "num_conn: -1",
    "rate: -2147483648",
  ),
  request(
    { uid: "\n\t\u0000", role: "", num_conn: 2147483647, rate: 128 },
    String.raw`uid: "\n\t\000"`,
    "num_conn: 2147483647",
    "rate: 128",
  ),
  updateTargets(
    { uid, remote_listeners: ["192.168.10.10:5074", "[fd00::1]:5075"], role: "PROD" },
    `uid: "${uid}"`,
    `remote_listeners: "192.168.10.10:5074"`,
    `remote_listeners: "[fd00::1]:5075"`,
    `role: "PROD"`,
  ),
  updateTargets({ uid: "", remote_listeners: [], role: "" }),
  // An empty text is a value where a field repeats.
  updateTargets(
    { uid, remote_listeners: ["", "ü:1", ""], role: "" },
    `uid: "${uid}"`,
    `remote_listeners: ""`,
    String.raw`remote_listeners: "\303\274:1"`,
    `remote_listeners: ""`,
  ),
  release({ uid }, `uid: "${uid}"`),
  release({ uid, force: false }, `uid: "${uid}"`),
  release({ uid: "" }),
  hello(
    { uid, prod_listeners: many, role: "PROD" },
    `uid: "${uid}"`,
    ...many.map((each) => `prod_listeners: "${each}"`),
    `role: "PROD"`,
  ),
  hello({ uid, prod_listeners: [], role: "CONS" }, `uid: "${uid}"`, `role: "CONS"`),
  hello({ uid: "", prod_listeners: [""], role: "" }, `prod_listeners: ""`),
  response(
    { listeners: ["192.168.10.11:5100"], prod_listeners: ["192.168.10.10:5074", "host.example:1"] },
    `listeners: "192.168.10.11:5100"`,
    `prod_listeners: "192.168.10.10:5074"`,
    `prod_listeners: "host.example:1"`,
  ),
  response({ listeners: [], prod_listeners: [] }),
  response({ listeners: many, prod_listeners: [] }, ...many.map((each) => `listeners: "${each}"`)),
  appResponse(
    { message: "Sending listeners...", listeners: ["192.168.30.10:5100"] },
    `message: "Sending listeners..."`,
    `listeners: "192.168.30.10:5100"`,
  ),
  appResponse(
    { message: "Sending Prod listeners...", listeners: [] },
    `message: "Sending Prod listeners..."`,
  ),
  appResponse({ message: "", listeners: [] }),
];

const ours = ({ method, end, value }: Case): Buffer => {
  const definition = controlDefinition[method];
  return definition?.[`${end}Serialize`](value) as Buffer;
};
const theirs = ({ type, text }: Case) =>
  protoc(`--encode=scistream.${type}`, new TextEncoder().encode(text));
const titled = (each: Case) => `${each.type} ${JSON.stringify(each.value).slice(0, 90)}`;

Deno.test("our bytes are protoc's", async (t) => {
  for (const each of CASES) {
    await t.step(titled(each), async () => {
      const expected = Buffer.from(await theirs(each));
      assertEquals(ours(each).toString("hex"), expected.toString("hex"));
    });
  }
});

Deno.test("protoc reads our bytes as the values that they stand for", async (t) => {
  for (const each of CASES) {
    await t.step(titled(each), async () => {
      const text = await protoc(`--decode=scistream.${each.type}`, ours(each));
      assertEquals(new TextDecoder().decode(text), each.text);
    });
  }
});

Deno.test("we read protoc's bytes as the values that they stand for", async (t) => {
  for (const each of CASES) {
    await t.step(titled(each), async () => {
      const definition = controlDefinition[each.method];
      const read = definition?.[`${each.end}Deserialize`](Buffer.from(await theirs(each)));
      const defaults = definition?.[`${each.end}Deserialize`](Buffer.of());
      assertEquals({ ...read }, { ...defaults, ...each.value });
    });
  }
});
