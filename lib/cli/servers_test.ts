import { assertEquals, assertThrows } from "@std/assert";
import { readConfig } from "./config.ts";
import { connectionFlags } from "./connection.ts";
import { text, UsageError } from "./flags.ts";

const CLIENT = { list: { s2cs: text("server"), ...connectionFlags } };
const read = (toml: string, shape: Parameters<typeof readConfig>[2] = CLIENT) =>
  readConfig("/etc/x/s2uc.toml", toml, shape, "list");

Deno.test("[servers] says of each control server its certificate and how to log in", () => {
  const { servers, file } = read(`
s2cs = "192.168.10.11:5007"
[servers."192.168.10.11:5007"]
scope = "92c3"
server-cert = "producer.crt"
[servers.'[fd00::1]:5007']
issuer = "https://idp.example"
issuer_ca = "/ca.pem"
client_id = "cli"
resource = "https://gateway.example"
`);
  assertEquals(file, { s2cs: "192.168.10.11:5007" });
  assertEquals(Object.fromEntries(servers), {
    "192.168.10.11:5007": { scope: "92c3", serverCert: "/etc/x/producer.crt" },
    "[fd00::1]:5007": {
      issuer: "https://idp.example",
      issuerCa: "/ca.pem",
      clientId: "cli",
      resource: "https://gateway.example",
    },
  });
});

Deno.test("what is wrong in [servers] is named with its line", () => {
  const wrong: Record<string, string> = {
    '[servers."10.0.0.1"]\nscope = "a"':
      '/etc/x/s2uc.toml, line 1: control server "10.0.0.1" is not HOST:PORT',
    '\n[servers."h:1"]\nscope = "a"\nscopes = "b"':
      '/etc/x/s2uc.toml, line 4: unknown key "scopes"; there are scope',
    '[servers."h:1"]\nscope = 5': "/etc/x/s2uc.toml, line 2: scope is not a text",
    '[servers."g:1"]\nscope = "a"\n[servers."h:1"]\nscope = ""':
      "/etc/x/s2uc.toml, line 4: scope is not a text",
    '[servers]\n"h:1" = "a"': '/etc/x/s2uc.toml, line 2: write it as a table: [servers."h:1"]',
  };
  for (const [toml, message] of Object.entries(wrong)) {
    assertThrows(() => read(toml), UsageError, message);
  }
});

Deno.test("a command that talks to no control server knows no [servers]", () => {
  const toml = '[servers."h:1"]\nscope = "a"';
  assertThrows(
    () => read(toml, { list: { port: text("port") } }),
    UsageError,
    "unknown table [servers]",
  );
});
