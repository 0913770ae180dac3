/**
 * What authentication costs a call.
 * @module
 */
import { ControlClient } from "../../lib/protocol/client.ts";
import { freePortRanges, Gateway } from "../demo/gateways.ts";
import { atMost } from "./goals.ts";
import { Process } from "./process.ts";
import { type Context, inTurn, median, percentile, type Result, short } from "./result.ts";

const ROUNDS = 20;
const CALLS = 200;
const MOST_MICROSECONDS = 300;
const PROVIDER = new URL("auth_provider.ts", import.meta.url).pathname;
/** The control servers' client at the providers. */
const CLIENT = { id: "gw", secret: "s3cret", scope: "scistream" };

/** A control server, and whence come the tokens of that many calls. */
interface Way {
  name: string;
  client: ControlClient;
  tokens: (count: number) => string[] | Promise<string[]>;
  /** Of each round, in microseconds. */
  p50: number[];
  p99: number[];
}

/** `whoami`, which does nothing else, with tokens that are remembered and tokens that are new. */
export async function authentication(context: Context): Promise<Result> {
  const { signal, tell, rounds = ROUNDS } = context;
  await using stack = new AsyncDisposableStack();
  const provider = await startProvider(stack, signal);
  const flags = await authFlags(context.folder);
  let token = "";
  const [none, introspection, jwt] = await startServers(stack, context, () => token, [
    [],
    [...flags, `--issuer=${provider.introspection}`],
    [...flags, `--issuer=${provider.jwt}`, "--jwt"],
  ]) as [ControlClient, ControlClient, ControlClient];
  const [opaque, signed] = await Promise.all(
    ["introspection", "jwt"].map((kind) => provider.mint(kind, 1)),
  ) as [[string], [string]];

  const same = (token: string) => (count: number) => Array.from({ length: count }, () => token);
  const fresh = (kind: string) => (count: number) => provider.mint(kind, count);
  const ways: Way[] = [
    { name: "no authentication", client: none, tokens: same("") },
    { name: "introspection, known token", client: introspection, tokens: same(opaque[0]) },
    { name: "JWT, known token", client: jwt, tokens: same(signed[0]) },
    { name: "introspection, new token", client: introspection, tokens: fresh("introspection") },
    { name: "JWT, new token", client: jwt, tokens: fresh("jwt") },
  ].map((way) => ({ ...way, p50: [], p99: [] }));
  for (const { round, item: { name, client, tokens, p50, p99 } } of inTurn(ways, rounds)) {
    tell(`authentication, round ${round} of ${rounds}: ${name}`);
    const samples: number[] = [];
    for (const each of await tokens(CALLS)) {
      token = each;
      const start = performance.now();
      await client.call("whoami", {}, { signal });
      samples.push((performance.now() - start) * 1000);
    }
    // The first round warms up.
    if (round === 0) continue;
    p50.push(percentile(samples, 50));
    p99.push(percentile(samples, 99));
  }
  const told = ways.map(({ name, p50, p99 }) => ({ name, p50: median(p50), p99: median(p99) }));
  const over = told.map(({ p50 }) => p50 - (told[0]?.p50 ?? NaN));
  return {
    name: "auth",
    title:
      `Authentication, whoami over TLS, medians of ${rounds} interleaved rounds of ${CALLS} calls`,
    columns: ["", "p50 µs", "p99 µs", "p50 over none"],
    rows: told.map(({ name, p50, p99 }, i) => [name, p50, p99, i === 0 ? "" : short(over[i] ?? 0)]),
    goals: told.flatMap(({ name }, i) =>
      name.endsWith("known token")
        ? [atMost(`authentication by ${name}, over none, p50`, over[i], MOST_MICROSECONDS, "µs")]
        : []
    ),
  };
}

/** The issuers, and a source of their tokens. */
async function startProvider(stack: AsyncDisposableStack, signal: AbortSignal) {
  const process = stack.use(
    new Process([
      Deno.execPath(),
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      // Packages below oidc-provider look for what to log.
      "--allow-env",
      PROVIDER,
      ...Object.values(CLIENT),
    ], signal),
  );
  const [, introspection, jwt, source] = await process.line(/^listening on (\S+) (\S+) (\S+)$/);
  const mint = async (kind: string, count: number): Promise<string[]> =>
    await (await fetch(`${source}/${kind}?count=${count}`, { signal })).json();
  return { introspection, jwt, mint };
}

/** What both ways to authenticate have in common. */
async function authFlags(folder: string): Promise<string[]> {
  const file = `${folder}/auth.secret`;
  await Deno.writeTextFile(file, CLIENT.secret, { mode: 0o600 });
  return [
    `--client-id=${CLIENT.id}`,
    `--client-secret-file=${file}`,
    `--scope=${CLIENT.scope}`,
    `--audience=${CLIENT.id}`,
    // No sample is to hold a second look at a token that is known.
    "--token-cache=3600",
  ];
}

/** A client, with these tokens, of a control server with each of these flags. */
async function startServers(
  stack: AsyncDisposableStack,
  { folder, signal }: Context,
  token: () => string,
  flags: string[][],
): Promise<ControlClient[]> {
  const ports = freePortRanges(flags.length, 32);
  const clients: ControlClient[] = [];
  for (const [i, more] of flags.entries()) {
    const name = `auth-${i}`;
    const gateway = await Gateway.start({
      name,
      folder,
      ports: ports[i] as string,
      flags: ["--type=Mock", "--call-rate=0", ...more],
      signal,
      onDeath: () => {},
    });
    stack.defer(async () => void await gateway.stop());
    const client = new ControlClient({
      address: gateway.client.address,
      roots: await Deno.readFile(`${folder}/${name}.crt`),
      token: () => Promise.resolve(token()),
    });
    stack.defer(() => client.close());
    clients.push(client);
  }
  return clients;
}
