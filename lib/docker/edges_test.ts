// What comes from outside and goes out again: archives, versions, references.
import { assertEquals, assertThrows } from "@std/assert";
import { ScistreamError } from "../protocol/errors.ts";
import { filters, reference } from "./query.ts";
import { tar } from "./tar.ts";
import { choose } from "./version.ts";

Deno.test("version: the lower of both, at least 1.41", () => {
  assertEquals(choose("1.41"), "1.41");
  assertEquals(choose("1.47"), "1.47");
  assertEquals(choose("1.99"), "1.47");
  for (const theirs of ["1.40", "1.24", "2.0", "", undefined, "1.x", "1.41/../../x"]) {
    assertThrows(() => choose(theirs), ScistreamError);
  }
});

Deno.test("query: filters, and references of images", () => {
  assertEquals(
    filters({ labels: { a: "b", "c=d": "e&f" }, types: ["container"] }),
    '{"label":["a=b","c=d=e&f"],"type":["container"]}',
  );
  assertEquals(reference("haproxy"), { fromImage: "haproxy", tag: "latest" });
  assertEquals(reference("haproxy:2.6"), { fromImage: "haproxy", tag: "2.6" });
  assertEquals(reference("host:5000/a/b"), { fromImage: "host:5000/a/b", tag: "latest" });
  assertEquals(reference("a@sha256:00"), { fromImage: "a@sha256:00" });
});

Deno.test("tar: the system's tar reads it", async () => {
  const files = [
    { name: "haproxy.cfg", mode: 0o644, bytes: new TextEncoder().encode("global\n") },
    { name: "a/b/empty", mode: 0o600, bytes: new Uint8Array() },
    { name: "ü".repeat(50), mode: 0o755, bytes: new Uint8Array(1025).fill(7) },
  ];
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/x.tar`, tar(files));
    const args = ["--no-same-owner", "-xpf", "x.tar"];
    const made = await new Deno.Command("tar", { args, cwd: folder }).output();
    assertEquals(new TextDecoder().decode(made.stderr), "");
    for (const { name, mode, bytes } of files) {
      assertEquals(await Deno.readFile(`${folder}/${name}`), bytes);
      assertEquals(((await Deno.stat(`${folder}/${name}`)).mode ?? 0) & 0o7777, mode);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  for (const name of ["", "/etc/passwd", "../x", "a/../b", "a\0b", "x".repeat(101)]) {
    assertThrows(() => tar([{ name, mode: 0o644, bytes: new Uint8Array() }]), ScistreamError);
  }
});
