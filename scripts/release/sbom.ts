/**
 * The software bill of materials: what is in the executable, as CycloneDX 1.5.
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Package, Packages } from "./packages.ts";

/** What the bill is of. */
export interface Released {
  version: string;
  /** The full id. */
  commit: string;
  /** Of the commit, in seconds since 1970. */
  time: number;
  /** The Deno that runs it. */
  deno: string;
}

/** The bill as JSON text. The same commit gives the same text. */
export function sbom({ version, commit, time, deno }: Released, packages: Packages): string {
  const purls = new Map(packages.all.map((each) => [each.id, purlOf(each)]));
  const purl = (id: string) => purls.get(id) as string;
  const self = `pkg:generic/scistream@${version}`;
  const runtime = `pkg:github/denoland/deno@v${deno}`;
  const hex = createHash("sha256").update(`${self} ${commit}`).digest("hex");
  const bill = {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: `urn:uuid:${uuidOf(hex)}`,
    version: 1,
    metadata: {
      timestamp: new Date(time * 1000).toISOString(),
      component: {
        type: "application",
        "bom-ref": self,
        name: "scistream",
        version,
        purl: self,
        properties: [{ name: "scistream:commit", value: commit }],
      },
    },
    components: [
      {
        type: "platform",
        "bom-ref": runtime,
        name: "deno",
        version: deno,
        licenses: [{ license: { id: "MIT" } }],
        purl: runtime,
      },
      ...packages.all.map((each) => component(each, purl(each.id))),
    ],
    dependencies: [
      { ref: self, dependsOn: [runtime, ...packages.roots.map(purl)] },
      { ref: runtime, dependsOn: [] },
      ...packages.all.map(({ id, dependencies }) => ({
        ref: purl(id),
        dependsOn: dependencies.map(purl),
      })),
    ],
  };
  return JSON.stringify(bill, null, 2) + "\n";
}

function component({ name, version, integrity, license }: Package, purl: string) {
  const [scope, bare] = name.startsWith("@") ? name.split("/") : [undefined, name];
  const [algorithm, base64 = ""] = integrity.split("-");
  if (algorithm !== "sha512") throw new Error(`${name}: ${integrity} is not SHA-512`);
  return {
    type: "library",
    "bom-ref": purl,
    ...scope ? { group: scope } : {},
    name: bare,
    version,
    hashes: [{ alg: "SHA-512", content: Buffer.from(base64, "base64").toString("hex") }],
    ...license ? { licenses: [licenseOf(license)] } : {},
    purl,
  };
}

/** npm's words are SPDX's: one licence's id, or several with AND and OR. */
function licenseOf(license: string) {
  return / /.test(license) ? { expression: license } : { license: { id: license } };
}

function purlOf({ name, version }: Package): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** A UUID of version 8 (RFC 9562) made of a hash. */
function uuidOf(hex: string): string {
  const variant = (8 + parseInt(hex[16] as string, 16) % 4).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}
