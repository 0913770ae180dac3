import { assert, assertEquals } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { makeCertificate } from "./certificate.ts";

Deno.test("a certificate names the addresses it is for, is its own root and matches its key", async () => {
  const { cert, key } = await makeCertificate({
    ips: ["192.168.10.11", "fd00::1"],
    names: ["gw.example.org"],
    days: 30,
  });
  const parsed = new X509Certificate(cert);
  assertEquals(parsed.checkIP("192.168.10.11"), "192.168.10.11");
  assertEquals(parsed.checkIP("192.168.10.12"), undefined);
  assertEquals(parsed.checkHost("gw.example.org"), "gw.example.org");
  assert(parsed.ca);
  assert(parsed.verify(parsed.publicKey));
  const { createPrivateKey } = await import("node:crypto");
  assert(parsed.checkPrivateKey(createPrivateKey(key)));
  const days = (Date.parse(parsed.validTo) - Date.now()) / 86_400_000;
  assertEquals(Math.round(days), 30);
});
