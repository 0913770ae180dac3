import { assertEquals, assertRejects } from "@std/assert";
import { type Options, parseCommandLine, UsageError } from "./flags.ts";
import { janusFlags, readJanus } from "./janus_flags.ts";

const WHOLE = {
  "janus-url": "https://janus.example.org:5000",
  "janus-user": "scistream",
  "janus-node": "dtn1=203.0.113.5",
  "janus-profile": "scistream",
  "janus-config-dir": "/data/scistream",
};

function options(more: Record<string, string> = {}): Options<typeof janusFlags> {
  const words = Object.entries({ ...WHOLE, ...more }).map(([key, value]) => `--${key}=${value}`);
  return parseCommandLine(words, janusFlags, []).options;
}

function read(more: Record<string, string> = {}, password?: string, warned: string[] = []) {
  const env = (name: string) => name === "SCISTREAM_JANUS_PASSWORD" ? password : undefined;
  return readJanus(options(more), env, (sentence) => warned.push(sentence));
}

Deno.test("Janus' settings come from the flags, and its password from the environment or a file", async () => {
  const { access, nodes, profile, image, configDir } = await read({}, "secret");
  assertEquals(
    [access.url.host, access.user, access.password.reveal(), access.ca, access.insecure],
    ["janus.example.org:5000", "scistream", "secret", undefined, false],
  );
  assertEquals([nodes[0]?.name, profile, image, configDir], [
    "dtn1",
    "scistream",
    undefined,
    "/data/scistream",
  ]);
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, "of a file\n", { mode: 0o600 });
    const warned: string[] = [];
    const from = await read({ "janus-password-file": file }, undefined, warned);
    assertEquals([from.access.password.reveal(), warned], ["of a file", []]);
    await Deno.chmod(file, 0o644);
    await read({ "janus-password-file": file }, undefined, warned);
    assertEquals(warned.length, 1);
    await assertRejects(() => read({ "janus-password-file": file }, "x"), UsageError, "both");
    await Deno.writeTextFile(file, "\n");
    await assertRejects(() => read({ "janus-password-file": file }), UsageError, "is empty");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("what Janus needs and is not given is named", async () => {
  for (const name of Object.keys(WHOLE)) {
    await assertRejects(() => read({ [name]: "" }, "secret"), UsageError, `needs --${name} `);
  }
  await assertRejects(() => read(), UsageError, "needs a password");
  const missing = { "janus-password-file": "/nonexistent" };
  await assertRejects(() => read(missing), UsageError, "cannot read the password of Janus");
  const both = { "janus-ca": "x", "janus-insecure": "True" };
  await assertRejects(() => read(both, "secret"), UsageError, "contradict");
});
