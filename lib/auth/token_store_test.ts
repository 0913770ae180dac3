import { assertEquals, assertRejects } from "@std/assert";
import { ScistreamError } from "../protocol/errors.ts";
import { Secret } from "../protocol/secret.ts";
import { type Login, TokenStore } from "./token_store.ts";

function setUp() {
  const folder = Deno.makeTempDirSync({ prefix: "scistream-tokens-" });
  const path = `${folder}/state/tokens.json`;
  return {
    folder: `${folder}/state`,
    path,
    store: new TokenStore(`${folder}/state`),
    [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }),
  };
}

const login = (scope: string, more: Partial<Login> = {}): Login => ({
  issuer: "https://idp",
  globus: false,
  clientId: "cli",
  scope,
  name: "alice",
  accessToken: new Secret(`access-${scope}`),
  refreshToken: new Secret(`refresh-${scope}`),
  issuedMs: 1,
  expiresMs: 2,
  ...more,
});

const secrets = (logins: Login[]) =>
  logins.map(({ scope, accessToken, refreshToken }) => [
    scope,
    accessToken.reveal(),
    refreshToken?.reveal(),
  ]);

Deno.test("what is kept comes back, in a file and a folder that only the user can enter", async () => {
  using at = setUp();
  assertEquals(await at.store.read(), []);
  await at.store.change(() =>
    Promise.resolve([login("a"), login("b", { refreshToken: undefined })])
  );
  const back = await new TokenStore(at.folder).read();
  assertEquals(secrets(back), [["a", "access-a", "refresh-a"], ["b", "access-b", undefined]]);
  assertEquals((Deno.statSync(at.path).mode ?? 0) & 0o777, 0o600);
  assertEquals((Deno.statSync(at.folder).mode ?? 0) & 0o777, 0o700);
  assertEquals([...Deno.readDirSync(at.folder)].map(({ name }) => name).sort(), [
    "tokens.json",
    "tokens.lock",
  ]);
  // Whatever prints it shows no token.
  assertEquals(/access-|refresh-/.test(JSON.stringify(back) + Deno.inspect(back)), false);
});

Deno.test("a file that others can read, that is damaged or none is refused with a sentence", async () => {
  using at = setUp();
  await at.store.change(() => Promise.resolve([login("a")]));
  const refused = (what: RegExp) =>
    assertRejects(() => at.store.read(), ScistreamError).then(({ message, code }) => {
      assertEquals([what.test(message), message.includes(at.path), code], [
        true,
        true,
        "BAD_FORMAT",
      ], message);
    });
  Deno.chmodSync(at.path, 0o640);
  await refused(/other users \(mode 640\)/);
  Deno.chmodSync(at.path, 0o600);
  const whole = Deno.readTextFileSync(at.path);
  for (
    const text of [
      "",
      "{",
      whole.slice(0, -20),
      "[]",
      '{"format":2,"logins":[]}',
      '{"format":1,"logins":[{}]}',
    ]
  ) {
    Deno.writeTextFileSync(at.path, text);
    await refused(/damaged.*s2uc login/);
    // Nor is it overwritten: it may be worth something to its owner.
    await assertRejects(() => at.store.change(() => Promise.resolve([])), ScistreamError);
    assertEquals(Deno.readTextFileSync(at.path), text);
  }
  Deno.removeSync(at.path);
  Deno.symlinkSync("/etc/passwd", at.path);
  await refused(/not a file/);
});

Deno.test("a change that fails leaves everything as it was", async () => {
  using at = setUp();
  await at.store.change(() => Promise.resolve([login("a")]));
  await assertRejects(() => at.store.change(() => Promise.reject(new Error("no"))), Error, "no");
  assertEquals(secrets(await at.store.read()), [["a", "access-a", "refresh-a"]]);
  assertEquals([...Deno.readDirSync(at.folder)].length, 2);
});

Deno.test("what a process that was killed in the middle has left is in nobody's way", async () => {
  using at = setUp();
  await at.store.change(() => Promise.resolve([login("a")]));
  Deno.writeTextFileSync(`${at.path}.new`, "half", { mode: 0o644 });
  await at.store.change((all) => Promise.resolve([...all, login("b")]));
  assertEquals((await at.store.read()).length, 2);
  assertEquals((Deno.statSync(at.path).mode ?? 0) & 0o777, 0o600);
});

Deno.test("whoever holds the lock too long is told of", async () => {
  using at = setUp();
  const holding = Promise.withResolvers<void>();
  const done = Promise.withResolvers<undefined>();
  const first = at.store.change(() => {
    holding.resolve();
    return done.promise;
  });
  await holding.promise;
  const impatient = new TokenStore(at.folder, 50);
  const error = assertRejects(
    () => impatient.change(() => Promise.resolve(undefined)),
    ScistreamError,
    "locked",
  );
  await error;
  done.resolve(undefined);
  await first;
});

Deno.test("changes of many processes are made one after another, and none is lost", async () => {
  using at = setUp();
  const url = new URL("./token_store.ts", import.meta.url).href;
  const secret = new URL("../protocol/secret.ts", import.meta.url).href;
  const script = `${at.folder}.ts`;
  Deno.writeTextFileSync(
    script,
    `import { TokenStore } from "${url}"; import { Secret } from "${secret}";
     const s = new Secret("x");
     for (let i = 0; i < 20; i++) await new TokenStore("${at.folder}").change((all) => Promise.resolve([...all,
       { issuer: "i", globus: false, clientId: "c", scope: Deno.args[0] + i, name: "", accessToken: s, issuedMs: 0, expiresMs: 0 }]));`,
  );
  const run = (name: string) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-config", "--no-lock", "--quiet", script, name],
      stderr: "inherit",
    }).output();
  const ended = await Promise.all(["a", "b", "c", "d"].map(run));
  assertEquals(ended.map(({ code }) => code), [0, 0, 0, 0]);
  const scopes = (await at.store.read()).map(({ scope }) => scope);
  assertEquals(scopes.length, 80);
  assertEquals(new Set(scopes).size, 80);
});
