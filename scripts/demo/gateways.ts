/**
 * Control servers as processes of their own, as `deno task scistream s2cs` starts them.
 * @module
 */
import config from "../../deno.json" with { type: "json" };
import { makeCertificate } from "../../lib/certificate.ts";
import { ControlClient } from "../../lib/protocol/client.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const HOST = "127.0.0.1";
/** The first start may have to download packages. */
const START_MS = 120_000;
const STOP_MS = 5_000;

/**
 * Arguments of deno that run scistream as its task does: the gateways may do what a user's may, and
 * no more.
 */
export const SCISTREAM: readonly string[] = [
  ...config.tasks.scistream.split(" ").slice(1, -1),
  `${ROOT}cmd/scistream.ts`,
];

/** How to start a gateway. */
export interface GatewayOptions {
  /** Of its certificate's files. */
  name: string;
  /** For its certificate and state; other gateways may share it. */
  folder: string;
  /** FIRST-LAST, for its data listeners. */
  ports: string;
  /** More flags of its `s2cs`. */
  flags?: string[];
  signal: AbortSignal;
  /** Told when it ends before it is stopped. */
  onDeath: (error: Error) => void;
}

/** A gateway's control server and the data server below it. */
export class Gateway {
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<string>[];
  #stopping = false;
  readonly pid: number;
  client!: ControlClient;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.pid = child.pid;
    this.#output = [];
  }

  /** Starts a control server and waits until it accepts calls. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const { name, folder, ports, signal, onDeath } = options;
    signal.throwIfAborted();
    const { cert, key } = await makeCertificate({ ips: [HOST], names: [], days: 1 });
    const path = `${folder}/${name}`;
    await Deno.writeTextFile(`${path}.crt`, cert);
    await Deno.writeTextFile(`${path}.key`, key, { mode: 0o600 });
    const gateway = new Gateway(
      new Deno.Command(Deno.execPath(), {
        args: [
          ...SCISTREAM,
          "s2cs",
          `--listener-ip=${HOST}`,
          // Without it a producer's listeners would be open to the network.
          `--wan-ip=${HOST}`,
          "--port=0",
          `--port-range=${ports}`,
          `--server-crt=${path}.crt`,
          `--server-key=${path}.key`,
          `--state-dir=${folder}`,
          "--drain-timeout=1",
          ...options.flags ?? [],
        ],
        // The user's settings are for the user's gateway.
        clearEnv: true,
        env: Object.fromEntries(
          Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("SCISTREAM_")),
        ),
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        // A Ctrl-C is for the demo, which stops its gateways in order.
        detached: true,
      }).spawn(),
    );
    try {
      const address = await gateway.#address(
        AbortSignal.any([signal, AbortSignal.timeout(START_MS)]),
      );
      const roots = new TextEncoder().encode(cert);
      gateway.client = new ControlClient({ address, roots });
    } catch (error) {
      await gateway.stop();
      throw error;
    }
    gateway.#child.status.then(() => {
      if (!gateway.#stopping) onDeath(new Error(`the ${name}'s control server died`));
    });
    return gateway;
  }

  /** Ends the process and waits for it; answers what was wrong with that, if anything. */
  async stop(): Promise<string> {
    this.#stopping = true;
    this.client?.close();
    const kill = (signal: Deno.Signal) => {
      try {
        this.#child.kill(signal);
      } catch {
        // It has ended by itself.
      }
    };
    kill("SIGTERM");
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      kill("SIGKILL");
    }, STOP_MS);
    const { code, signal } = await this.#child.status;
    clearTimeout(timer);
    const [, err] = await Promise.all(this.#output);
    if (late) return `control server ${this.pid} did not end on SIGTERM and was killed`;
    return code === 0 ? "" : `control server ${this.pid} ended with ${signal ?? code}:\n${err}`;
  }

  /** Reads on after the address, so that the process never waits for its reader. */
  #address(signal: AbortSignal): Promise<Endpoint> {
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      const look = (text: string) => {
        const started = /^Secure gRPC Server started on (\S+)$/m.exec(text)?.[1];
        if (started) resolve(Endpoint.parse(started));
      };
      this.#output.push(read(this.#child.stdout, look), read(this.#child.stderr));
      Promise.all(this.#output).then(([, err]) =>
        reject(new Error(`the control server ended before it was up:\n${err}`))
      );
    });
  }
}

async function read(
  stream: ReadableStream<Uint8Array>,
  onText?: (text: string) => void,
): Promise<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    text += part;
    onText?.(text);
  }
  return text;
}

/**
 * Ranges of `size` ports each that nobody listens on, apart from each other and from the ports
 * that the system gives out by itself, written FIRST-LAST.
 */
export function freePortRanges(count: number, size: number): string[] {
  const ranges: string[] = [];
  const [lowest, highest] = [10_000, 32_000];
  // Another place each time: two demos at once must not choose the same.
  let first = lowest + Math.floor(Math.random() * (highest - lowest));
  for (let tried = lowest; tried < highest && ranges.length < count; tried += size) {
    first = first + 2 * size > highest ? lowest : first + size;
    const ports = Array.from({ length: size }, (_, i) => first + i);
    if (ports.every(isFree)) ranges.push(`${first}-${first + size - 1}`);
  }
  if (ranges.length < count) throw new Error(`no ${count} × ${size} free ports were found`);
  return ranges;
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: HOST, port }).close();
    return true;
  } catch {
    return false;
  }
}
