import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import net from "node:net";
import tls from "node:tls";
import { makeCredentials } from "./identity.ts";
import { channelSecret, type Credentials, LEAF_MS, SERVER_NAME } from "./secret.ts";
import { selfTest } from "./self_test.ts";
import { GatewayTls, PROTOCOL } from "./tls.ts";

const UID = "0b2f7e0c-5d5c-4d3e-9a55-1f0f5a0c9d11";
const SECRET = channelSecret(UID);
const OTHER = channelSecret("0b2f7e0c-5d5c-4d3e-9a55-1f0f5a0c9d12");
const HOUR = 3600_000;

/** A producer's side on a port of this machine. */
async function producer(credentials?: Promise<Credentials>, timeoutMs = 5_000) {
  const side = new GatewayTls("server", () => credentials ?? makeCredentials(SECRET, "server"));
  const outcome = Promise.withResolvers<string>();
  let accepted: net.Socket | undefined;
  const server = net.createServer({ allowHalfOpen: true }, async (tcp) => {
    accepted = tcp;
    tcp.on("error", () => {});
    try {
      const { socket } = await side.prove(tcp, timeoutMs);
      outcome.resolve("proven");
      socket.destroy();
    } catch (error) {
      outcome.resolve((error as Error).message);
    }
    tcp.resetAndDestroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    outcome: outcome.promise,
    [Symbol.dispose]() {
      accepted?.destroy();
      server.close();
    },
  };
}

function dialled(port: number): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const tcp = new net.Socket({ allowHalfOpen: true });
    tcp.on("error", reject);
    tcp.connect(port, "127.0.0.1", () => resolve(tcp));
  });
}

/** What either side says when a consumer with these credentials comes. */
async function meet(client: Promise<Credentials>, server?: Promise<Credentials>) {
  using prod = await producer(server);
  const tcp = await dialled(prod.port);
  const consumer = await new GatewayTls("client", () => client).prove(tcp, 5_000)
    .then(() => "proven", (error) => error.message as string);
  const answer = { producer: await prod.outcome, consumer };
  tcp.destroy();
  return answer;
}

Deno.test("the secret is what RFC 5869 makes of the uid, and never the uid", () => {
  // openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt key:UID \
  //   -kdfopt info:"scistream data channel 1" HKDF
  assertEquals(
    SECRET.toHex(),
    "eec1aad3af08a9435a333ebb351c218d69c75b215955ffb20873155ac3e4e659",
  );
  assert(OTHER.toHex() !== SECRET.toHex());
});

Deno.test("both gateways make the same authority, and leaves of their own", async () => {
  const [one, two] = await Promise.all([
    makeCredentials(SECRET, "server"),
    makeCredentials(SECRET, "client"),
  ]);
  assertEquals(one.ca, two.ca);
  assert(one.key !== two.key && one.cert !== two.cert);
  assert(one.ca !== (await makeCredentials(OTHER, "server")).ca);
});

Deno.test("who knows the uid is proven", async () => {
  assertEquals(await meet(makeCredentials(SECRET, "client")), {
    producer: "proven",
    consumer: "proven",
  });
});

const ca = async () => (await makeCredentials(SECRET, "client")).ca;
const now = Date.now();
const STRANGERS: Record<string, () => Promise<Credentials>> = {
  "another session's": () => makeCredentials(OTHER, "client"),
  "another session's, trusting this one's": async () => ({
    ...await makeCredentials(OTHER, "client"),
    ca: await ca(),
  }),
  "no certificate": async () => ({ ca: await ca() }),
  "an expired certificate": () => makeCredentials(SECRET, "client", now - LEAF_MS - HOUR),
  "a certificate of tomorrow": () => makeCredentials(SECRET, "client", now + 3 * HOUR),
  "a producer's certificate": () => makeCredentials(SECRET, "server"),
};
for (const [what, credentials] of Object.entries(STRANGERS)) {
  Deno.test(`a consumer that shows ${what} is refused`, async () => {
    const { producer } = await meet(credentials());
    assertMatch(producer, /^(hung up|showed no certificate|takes this gateway)/);
  });
}

for (
  const [what, credentials] of Object.entries({
    "another session's": () => makeCredentials(OTHER, "server"),
    "an expired certificate": () => makeCredentials(SECRET, "server", now - LEAF_MS - HOUR),
    "a consumer's certificate": () => makeCredentials(SECRET, "client"),
  })
) {
  Deno.test(`a producer that shows ${what} is refused`, async () => {
    const { consumer } = await meet(makeCredentials(SECRET, "client"), credentials());
    assertMatch(consumer, /^is not proven by this session's uid/);
  });
}

Deno.test("who speaks no TLS, or says nothing, is named", async () => {
  for (
    const [said, why] of [
      ["GET / HTTP/1.1\r\n\r\n", /^does not speak TLS: that gateway forwards in the clear/],
      ["", /^did not finish the TLS handshake within 0.2 s/],
      ["\x16\x03\x01", /^did not finish the TLS handshake within 0.2 s/],
    ] as const
  ) {
    using prod = await producer(undefined, 200);
    const tcp = await dialled(prod.port);
    tcp.on("error", () => {});
    tcp.write(said);
    assertMatch(await prod.outcome, why);
    tcp.destroy();
  }
});

Deno.test("a first flight that was recorded is of no use", async () => {
  using prod = await producer();
  // A proxy that records what a real consumer sends.
  const sent: Uint8Array[] = [];
  const recorder = net.createServer(async (near) => {
    const far = await dialled(prod.port);
    near.on("data", (bytes: Uint8Array) => {
      sent.push(bytes);
      far.write(bytes);
    });
    far.on("data", (bytes: Uint8Array) => near.write(bytes));
    near.on("close", () => far.destroy());
  });
  await new Promise<void>((resolve) => recorder.listen(0, "127.0.0.1", resolve));
  const tcp = await dialled((recorder.address() as net.AddressInfo).port);
  await new GatewayTls("client", () => makeCredentials(SECRET, "client")).prove(tcp);
  assertEquals(await prod.outcome, "proven");
  tcp.destroy();
  recorder.close();

  using again = await producer(undefined, 500);
  const replay = await dialled(again.port);
  replay.on("error", () => {});
  for (const bytes of sent) replay.write(bytes);
  assert(await again.outcome !== "proven");
  replay.destroy();
});

Deno.test("TLS 1.2, and other protocols' clients, are refused", async () => {
  const client = await makeCredentials(SECRET, "client");
  for (
    const options of [
      { maxVersion: "TLSv1.2" as const, ALPNProtocols: [PROTOCOL] },
      { ALPNProtocols: ["h2"] },
      {},
    ]
  ) {
    using prod = await producer(undefined, 2_000);
    const { port } = prod;
    const stranger = tls.connect({
      ...options,
      ...client,
      host: "127.0.0.1",
      port,
      servername: SERVER_NAME,
    });
    stranger.on("error", () => {});
    assert(await prod.outcome !== "proven");
    stranger.destroy();
  }
});

Deno.test("this runtime proves gateways", async () => {
  await selfTest();
});

Deno.test("credentials that cannot be made are an error, and made again the next time", async () => {
  let tries = 0;
  const side = new GatewayTls("server", () => {
    tries++;
    return Promise.reject(new Error("no entropy"));
  });
  const tcp = new net.Socket();
  for (let i = 0; i < 2; i++) await assertRejects(() => side.prove(tcp), Error, "no entropy");
  assertEquals(tries, 2);
});
