import { assertEquals, assertThrows } from "@std/assert";
import { ScistreamError } from "../protocol/errors.ts";
import { type Identity, readIdentity, Rules } from "./identity.ts";
import { judge } from "./verifier.ts";

const read = (claims: Record<string, unknown>) => readIdentity("https://idp", claims, "groups");

Deno.test("an identity is its subject; name and domain are what the provider vouches for", () => {
  assertEquals(read({ sub: "7", username: "alice@ANL.gov", groups: ["a", 5, "b"] }), {
    issuer: "https://idp",
    subject: "7",
    name: "alice@ANL.gov",
    domain: "anl.gov",
    groups: ["a", "b"],
  });
  assertEquals(read({ sub: "7", email: "alice@anl.gov", email_verified: true })?.domain, "anl.gov");
  // Whoever likes may call themselves an address of anl.gov.
  for (const email_verified of [undefined, false, "true"]) {
    assertEquals(read({ sub: "7", email: "alice@anl.gov", email_verified })?.domain, "");
  }
  assertEquals(read({ sub: "7" })?.name, "7");
});

Deno.test("claims that name nobody, or nothing that can be shown, are no identity", () => {
  for (const sub of [undefined, "", 7, null, "a\nb", "x".repeat(256)]) {
    assertEquals(read({ sub, username: "alice" }), undefined, String(sub));
  }
  assertEquals(read({ sub: "7", username: "a\u0007b", groups: "staff" }), {
    issuer: "https://idp",
    subject: "7",
    name: "7",
    domain: "",
    groups: [],
  });
});

Deno.test("rules fit by name, subject, domain or group, each by its own kind only", () => {
  const alice: Identity = {
    issuer: "https://idp",
    subject: "7",
    name: "alice@anl.gov",
    domain: "anl.gov",
    groups: ["beamline-7"],
  };
  for (const rule of ["user:Alice@anl.gov", "id:7", "domain:ANL.gov", "group:beamline-7"]) {
    assertEquals(Rules.parse([rule]).fit(alice), true, rule);
  }
  for (
    const rule of [
      "user:7",
      "id:alice@anl.gov",
      "domain:gov",
      "domain:xanl.gov",
      "group:Beamline-7",
      "user:beamline-7",
    ]
  ) {
    assertEquals(Rules.parse([rule]).fit(alice), false, rule);
  }
  assertEquals(Rules.parse(["group:x", "domain:anl.gov"]).fit(alice), true);
  assertEquals(Rules.parse([]).fit(alice), false);
});

Deno.test("a rule that is none is named", () => {
  for (const text of ["alice", "user:", "mail:alice@anl.gov", "", "user"]) {
    assertThrows(() => Rules.parse([text]), ScistreamError, JSON.stringify(text));
  }
});

Deno.test("a token counts for its scope, issuer, audience and time only", () => {
  const good = { scope: "openid scistream", iss: "https://idp", exp: 2000, aud: ["gw", "other"] };
  const verdict = (claims: Record<string, unknown>, audience: string | undefined = "gw") =>
    judge({ ...good, ...claims }, "https://idp", { scope: "scistream", audience }, 1_000_000);
  assertEquals(verdict({}), { claims: good, expiresMs: 2_000_000 });
  assertEquals(verdict({ scope: undefined, scp: ["scistream"] }), {
    claims: { ...good, scope: undefined, scp: ["scistream"] },
    expiresMs: 2_000_000,
  });
  for (
    const wrong of [
      { scope: "scistream-admin" },
      { scope: "" },
      { scope: undefined },
      { scope: { scistream: true } },
      { iss: "https://idp.evil" },
      { exp: 1000 },
      { exp: "2000" },
      { nbf: 1100 },
      { aud: "gateway" },
      { aud: undefined },
    ]
  ) assertEquals("refused" in verdict(wrong), true, JSON.stringify(wrong));
  assertEquals(
    "claims" in judge({ ...good, aud: undefined }, "https://idp", { scope: "scistream" }, 0),
    true,
  );
});
