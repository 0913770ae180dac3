/**
 * What comes from the Docker Engine: HTTP, frames, lines of JSON, answers. However the bytes are cut
 * into pieces, the same must come of them.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { readContainer, readImage, readInfo, readSummary } from "../../../lib/docker/answers.ts";
import { DockerError, noImage, refused } from "../../../lib/docker/errors.ts";
import { BadResponse, type Part, ResponseDecoder } from "../../../lib/docker/http.ts";
import { reference } from "../../../lib/docker/query.ts";
import { errorMessage, parseJson, Shape } from "../../../lib/docker/shape.ts";
import {
  readNode,
  readService,
  readSwarmFile,
  readSwarmInfo,
  readTask,
} from "../../../lib/docker/swarm_answers.ts";
import { tar } from "../../../lib/docker/tar.ts";
import { Peer } from "../../../lib/docker/test_peer.ts";
import { Transport } from "../../../lib/docker/transport.ts";
import { choose } from "../../../lib/docker/version.ts";
import { ScistreamError } from "../../../lib/protocol/errors.ts";
import {
  assertSentence,
  attempt,
  attemptLater,
  cuts,
  latin1,
  type Target,
  textOf,
} from "../target.ts";

const HEAD = "HTTP/1.1 200 OK\r\n";
const ANSWERS = [
  `${HEAD}Content-Length: 5\r\n\r\nhello`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;n="v"\r\n world\r\n0\r\nT: 1\r\n\r\n`,
  `HTTP/1.1 100 Continue\r\n\r\n${HEAD}Connection: close\r\n\r\nup to the end`,
  "HTTP/1.1 204 No Content\r\nX-Y: z\r\nx-y: \tw \r\n\r\n",
  "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nraw",
  `HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\n{"message":""}`,
  "HTTP/1.0 200 \r\n\r\nold",
];
const WORDS = [
  HEAD,
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "HTTP/1.1 ",
  "chunked",
  "0\r\n\r\n",
  "\r\n0\r\n",
  "ffffffff\r\n",
  ";x=y\r\n",
  "Connection: close\r\n",
];

/** What comes of an answer in these pieces. */
function decoded(pieces: readonly Uint8Array[]): Record<"head" | "body" | "error", string> {
  const decoder = new ResponseDecoder();
  let body = "";
  let head = "";
  let ends = 0;
  const take = (parts: Iterable<Part>) => {
    for (const part of parts) {
      assertEquals(ends, 0, "a part after the end");
      if (part.type === "head") {
        assertEquals(head, "", "two heads");
        const { status, headers } = part.head;
        assert(status === 101 || status >= 200 && status < 600);
        for (const value of headers.values()) assert(!/^[\t ]|[\t ]$/.test(value), "blanks");
        head = JSON.stringify([status, [...headers]]);
      } else if (part.type === "body") {
        assert(head !== "" && part.bytes.length > 0, "a body without a head, or an empty one");
        for (const byte of part.bytes) body += String.fromCharCode(byte);
      } else ends++;
    }
  };
  const { error } = attempt(() => {
    for (const piece of pieces) take(decoder.push(piece));
    take(decoder.finish());
    assertEquals(ends, 1);
  }, [BadResponse]);
  if (error) attempt(() => take(decoder.push(Uint8Array.of(65))), [BadResponse]);
  return { head, body, error: error?.message ?? "" };
}

/** The body of a good answer, found in a simpler way. */
function bodyOf(answer: string): string | undefined {
  const last = answer.replace(/^(HTTP\/1\.[01] 1(?!01)\d\d.*?\r\n\r\n)+/s, "");
  const cut = last.indexOf("\r\n\r\n") + 4;
  const [head, rest] = [last.slice(0, cut).toLowerCase(), last.slice(cut)];
  if (/^\S+ (204|304)/.test(head) || /^\S+ 101/.test(head)) return rest;
  if (!head.includes("\r\ntransfer-encoding:")) return rest;
  let body = "";
  for (let at = 0;;) {
    const [line, size = ""] = /^([0-9a-f]+)[\t ]*(?:;[^\r]*)?\r\n/i.exec(rest.slice(at)) ?? [];
    if (line === undefined) return undefined;
    const length = parseInt(size, 16);
    if (length === 0) return body;
    body += rest.slice(at + line.length, at + line.length + length);
    at += line.length + length + 2;
  }
}

const http: Target = {
  name: "http",
  seeds: [...ANSWERS, `${HEAD}A:${" ".repeat(60_000)}\x01\r\n`, `${HEAD}A: \t b\xa0 \t\r\n\r\n`],
  dictionary: WORDS,
  run(bytes) {
    const [whole, ...others] = cuts(bytes).map(decoded);
    for (const other of others) assertEquals(other, whole);
    if (whole?.error === "") assertEquals(whole.body, bodyOf(latin1(bytes)));
  },
};

const STATE =
  '"State":{"Status":"running","Running":true,"ExitCode":0,"Error":"","OOMKilled":false,"Pid":7}';

const answers: Target = {
  name: "docker_answers",
  seeds: [
    `{"Id":"a","Name":"/n","Image":"i","RestartCount":1,${STATE},"Config":{"Labels":{"a":"b"}},"HostConfig":{}}`,
    '{"ServerVersion":"20.10","SecurityOptions":["name=rootless"],"Name":"n","MemoryLimit":true}',
    '[{"Id":"a","Names":["/n"],"Image":"i","Labels":null,"State":"exited"}]',
    '{"Id":"sha256:a","RepoTags":["haproxy:latest"]}',
    '{"message":"no such image\\n"}',
    "1.41",
    "1.99",
    "localhost:5000/a/haproxy:2.6",
    "haproxy@sha256:00",
  ],
  dictionary: ['"State":', '"Labels":null', "1.", '"message":', ":latest", "@sha256:", "["],
  run(bytes) {
    const text = textOf(bytes);
    const value = attempt(() => parseJson(bytes, "inspect it"), [DockerError]).value;
    const shape = attempt(() => new Shape(value, "inspect it"), [DockerError]).value;
    for (const read of [readInfo, readContainer, readSummary, readImage]) {
      if (shape) attempt(() => read(shape), [DockerError]);
      attempt(() => Shape.list(value, "list").map((each) => read(each)), [DockerError]);
    }
    const version = attempt(() => choose(text), [DockerError]).value;
    if (version !== undefined) assert(/^1\.4[1-7]$/.test(version), version);
    assertSentence(refused("start it", 500, errorMessage(bytes)).message);
    assertSentence(noImage(text, 404).message);
    const { fromImage, tag } = reference(text);
    assert(tag === undefined ? fromImage === text : `${text}:latest`.startsWith(fromImage));
  },
};

const swarmAnswers: Target = {
  name: "swarm_answers",
  seeds: [
    '{"Swarm":{"NodeID":"a","LocalNodeState":"active","ControlAvailable":true,"Cluster":{"ID":"c"}}}',
    '[{"ID":"a","Spec":{"Role":"manager","Availability":"drain"},"Status":{"State":"ready"},"ManagerStatus":{"Leader":true}}]',
    '[{"ID":"a","Version":{"Index":7},"Spec":{"Name":"n","Labels":{"a":"b"},"Mode":{"Replicated":{"Replicas":1}}},"UpdateStatus":{"State":"updating"}}]',
    '[{"ID":"a","Slot":1,"DesiredState":"running","Status":{"State":"failed","Err":"x","ContainerStatus":{"PID":7,"ExitCode":137}}}]',
    "rpc error: code = Unknown desc = update out of sequence",
    "This node is not a swarm manager.",
  ],
  dictionary: [
    '"Spec":',
    '"Status":',
    '"Mode":null',
    '"ContainerStatus":',
    "[",
    "not have a leader",
  ],
  run(bytes) {
    const value = attempt(() => parseJson(bytes, "list it"), [DockerError]).value;
    const shape = attempt(() => new Shape(value, "inspect it"), [DockerError]).value;
    for (const read of [readSwarmInfo, readNode, readService, readTask, readSwarmFile]) {
      if (shape) attempt(() => read(shape), [DockerError]);
      attempt(() => Shape.list(value, "list").map((each) => read(each)), [DockerError]);
    }
    assertSentence(refused("list it", 500, errorMessage(bytes)).message);
  },
};

const archive: Target = {
  name: "tar",
  seeds: ["haproxy.cfg", "run/a/b", "../x", `${"a".repeat(99)}b`, "ü".repeat(51)],
  dictionary: ["../", "./", "/", "\0"],
  run(bytes) {
    const name = textOf(bytes);
    const files = [{ name, mode: 0o640, bytes }, { name: "b", mode: 0o777, bytes: bytes.slice(1) }];
    const { value } = attempt(() => tar(files), [ScistreamError]);
    if (!value) return;
    const field = (at: number, length: number) =>
      textOf(value.subarray(at, at + length)).split("\0", 1)[0] as string;
    assertEquals([field(0, 100), parseInt(field(124, 12), 8)], [name, bytes.length]);
    const header = value.slice(0, 512).fill(32, 148, 156);
    assertEquals(parseInt(field(148, 8), 8), header.reduce((sum, byte) => sum + byte, 0));
    const second = 512 + Math.ceil(bytes.length / 512) * 512;
    assertEquals(field(second, 100), "b");
    assert(value.length % 512 === 0 && !name.split("/").includes(".."));
  },
};

/** How an answer ends for whoever reads as far as its end, and then the connection's. */
function outcome(bytes: Uint8Array): string {
  const decoder = new ResponseDecoder();
  try {
    for (const { type } of decoder.push(bytes)) if (type === "end") return "good";
    for (const { type } of decoder.finish()) if (type === "end") return "good";
    return "good";
  } catch (error) {
    assert(error instanceof BadResponse);
    return error.early ? "unreachable" : "engine";
  }
}

/** What the peer says next, and whether it has said it. */
let pieces: readonly Uint8Array[] = [];
let transport: Transport | undefined;

const connection: Target = {
  name: "transport",
  seeds: ANSWERS,
  dictionary: WORDS,
  fresh: 60,
  prepare() {
    const peer = new Peer(async ({ conn }) => {
      await conn.read(new Uint8Array(4096));
      for (const piece of pieces) {
        for (let sent = 0; sent < piece.length;) sent += await conn.write(piece.subarray(sent));
      }
    });
    transport = new Transport(peer.host, 60_000);
    return Promise.resolve(peer);
  },
  async run(bytes) {
    assert(transport);
    const used = transport;
    const seen = new Set<string>();
    for (pieces of cuts(bytes).slice(0, 3)) {
      const { value, error } = await attemptLater(async () => {
        const answer = await used.open("start it", { method: "GET", path: ["x"] });
        const body = await used.whole(answer.body, "start it");
        return [answer.status, [...answer.headers], body.toBase64()];
      }, [DockerError]);
      assertEquals(error ? (error as DockerError).kind as string : "good", outcome(bytes));
      seen.add(JSON.stringify([value, error?.message]));
    }
    assertEquals(seen.size, 1, [...seen].join("\n").slice(0, 2000));
  },
};

/** Those of this file. */
export const dockerTargets: readonly Target[] = [
  http,
  answers,
  swarmAnswers,
  archive,
  connection,
];
