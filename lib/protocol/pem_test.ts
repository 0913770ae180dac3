import { assertEquals, assertThrows } from "@std/assert";
import { makeCertificate } from "../certificate.ts";
import { ScistreamError } from "./errors.ts";
import { checkCertificate, checkKey } from "./pem.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const make = (days = 1) => makeCertificate({ ips: ["127.0.0.1"], names: [], days });
const GARBAGE = bytes("-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n");

Deno.test("a certificate is told from what is none, and an expired one from a valid one", async () => {
  assertEquals(checkCertificate(bytes((await make()).cert), "a.crt"), undefined);
  for (const bad of [GARBAGE, bytes("hello"), new Uint8Array(0)]) {
    assertThrows(
      () => checkCertificate(bad, "b.crt"),
      ScistreamError,
      "b.crt holds no PEM certificate",
    );
  }
  assertEquals(
    checkCertificate(bytes((await make(-1)).cert), "c.crt")?.startsWith("c.crt expired on "),
    true,
  );
});

Deno.test("a key is told from what is none, and from another certificate's", async () => {
  const [a, b] = [await make(), await make()];
  const cert = { pem: bytes(a.cert), name: "a.crt" };
  checkKey(cert, { pem: bytes(a.key), name: "a.key" });
  assertThrows(
    () => checkKey(cert, { pem: bytes(b.key), name: "b.key" }),
    ScistreamError,
    "b.key is not the key of a.crt",
  );
  assertThrows(
    () => checkKey(cert, { pem: GARBAGE, name: "g.key" }),
    ScistreamError,
    "g.key holds no PEM private key",
  );
});
