/**
 * Python peers: processes on grpcio's C core and libzmq, with stubs of the reference's protocol.
 * @module
 */
import { assertOk, type Ended, run, Running, tempFolder } from "../harness.ts";

/** The system's Python, whose packages are the distribution's. */
const PYTHON = "/usr/bin/python3";
const HERE = new URL(".", import.meta.url).pathname;

/** Folder of the stubs, while the tests run. */
let stubs: ReturnType<typeof tempFolder> | undefined;

/** Makes the stubs from reference.proto. */
export async function makeStubs(): Promise<void> {
  const folder = stubs = tempFolder();
  const from = [`-I${HERE}`, `${HERE}reference.proto`];
  // grpc_tools has the service's plug-in built in, but may be older than the protobuf runtime.
  assertOk(await run(["protoc", `--python_out=${folder.path}`, ...from]));
  const protos = new URL("../../proto", import.meta.url).pathname;
  const probed = ["health.proto", "reflection.proto"];
  assertOk(await run(["protoc", `--python_out=${folder.path}`, `-I${protos}`, ...probed]));
  assertOk(
    await run([PYTHON, "-m", "grpc_tools.protoc", `--grpc_python_out=${folder.path}`, ...from]),
  );
}

/** Removes the stubs. */
export function removeStubs(): void {
  stubs?.[Symbol.dispose]();
}

/** The command line of a Python script of this folder. */
export const pythonCommand = (script: string, args: readonly string[]) => [
  PYTHON,
  `${HERE}${script}`,
  ...args,
];
/** With the stubs. */
export const pythonEnvironment = () => ({
  PYTHONPATH: stubs?.path ?? "",
  PYTHONDONTWRITEBYTECODE: "1",
});

/** A process that ends, at the latest, when its block is left. */
export class Process extends Running implements AsyncDisposable {
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** A Python script of this folder. */
export class Python extends Process {
  constructor(script: string, ...args: string[]) {
    super(pythonCommand(script, args), { env: pythonEnvironment() });
  }
}

/** What a call was answered. */
export type Answer =
  | { response: Record<string, unknown> }
  | { error: { status: string; details: string; code: string } };

/** client.py: a C-core client whose calls may be pending at once. */
export class PythonClient implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  readonly #reading: Promise<void>;
  #n = 0;

  constructor(server: { address: string; cert: string }) {
    const [program, ...args] = pythonCommand("client.py", [server.address, server.cert]);
    this.#child = new Deno.Command(program as string, {
      args,
      env: pythonEnvironment(),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** Starts a call; resolves with whatever it is answered. Without `authorization` no such metadata is sent. */
  call(method: string, message: Record<string, unknown>, authorization?: string): Promise<Answer> {
    const n = ++this.#n;
    const answer = Promise.withResolvers<Answer>();
    this.#waiting.set(n, answer);
    const line = JSON.stringify({ n, method, message, authorization: authorization ?? null });
    this.#input.write(new TextEncoder().encode(`${line}\n`)).catch(answer.reject);
    return answer.promise;
  }

  /** How many calls have not been answered. */
  get pending(): number {
    return this.#waiting.size;
  }

  async #read(): Promise<void> {
    let text = "";
    for await (const part of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (text + part).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        const { n, ...answer } = JSON.parse(line);
        this.#waiting.get(n)?.resolve(answer);
        this.#waiting.delete(n);
      }
    }
    for (const { reject } of this.#waiting.values()) reject(new Error("client.py has ended"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { promise } of this.#waiting.values()) promise.catch(() => {});
    await this.#input.close().catch(() => {});
    await Promise.all([this.#child.status, this.#reading]);
  }
}

/** A call as server.py received it. */
export interface Received {
  method: string;
  message: Record<string, unknown>;
  authorization: string | null;
  /** The uid was unknown. */
  refused?: true;
}

/** server.py: a control server that behaves as the reference does. */
export class ReferenceServer extends Python {
  address = "";
  cert = "";

  /** With `tls` files it speaks TLS. It answers listeners from `listeners`, HOST:FIRST_PORT, upwards. */
  static async start(
    options: { listeners: string; tls?: { key: string; cert: string }; refuseFirstHello?: boolean },
  ): Promise<ReferenceServer> {
    const { listeners, tls, refuseFirstHello } = options;
    const server = new ReferenceServer(
      "server.py",
      listeners,
      ...tls ? [tls.key, tls.cert] : [],
      ...refuseFirstHello ? ["--refuse-first-hello"] : [],
    );
    server.address = `127.0.0.1:${(await server.line(/listening (\d+)/))[1]}`;
    server.cert = tls?.cert ?? "";
    return server;
  }

  /** Flags with which a client reaches it. */
  get flags(): string[] {
    const how = this.cert ? ["--server-cert", this.cert] : ["--ssl=False"];
    return ["--s2cs", this.address, ...how];
  }

  /** Ends it; answers everything that it received, in the order of arrival. */
  async received(): Promise<Received[]> {
    const { out }: Ended = await this.stop();
    return out.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }
}
