// Writes proto/messages.ts, the TypeScript shape of what proto/scistream.proto defines.
// `deno task gen`; tests/house_test.ts fails when the file is not what this writes.
import protobuf from "protobufjs";

const SCALARS: Record<string, string> = {
  string: "string",
  bool: "boolean",
  int32: "number",
  int64: "number",
};

/** The text of proto/messages.ts for the text of a .proto file. */
export function messagesOf(proto: string): string {
  const root = protobuf.parse(proto, { keepCase: true, alternateCommentMode: true }).root;
  const pkg = root.lookup("scistream");
  if (!(pkg instanceof protobuf.Namespace)) throw new Error("no package scistream");
  const out = [
    "// Made from scistream.proto by `deno task gen`; do not edit.",
    "// Field names are the wire's. A 64-bit integer is a number: exact up to 2^53.",
  ];
  for (const item of pkg.nestedArray) {
    if (item instanceof protobuf.Type) {
      out.push("", `/** ${item.comment?.replaceAll("\n", " ") ?? `Message ${item.name}.`} */`);
      if (item.fieldsArray.length === 0) {
        out.push(`export type ${item.name} = Record<string, never>;`);
        continue;
      }
      out.push(`export interface ${item.name} {`);
      for (const field of item.fieldsArray) {
        const scalar = SCALARS[field.type] ?? field.type;
        if (field.comment) out.push(`  /** ${field.comment.replaceAll("\n", " ")} */`);
        out.push(`  ${field.name}: ${scalar}${field.repeated ? "[]" : ""};`);
      }
      out.push("}");
    } else if (item instanceof protobuf.Service) {
      out.push(
        "",
        "/** Request and response of each method of the service; one that streams answers many. */",
      );
      out.push(`export interface ${item.name}Methods {`);
      for (const m of item.methodsArray) {
        out.push(`  /** \`${m.name}\` */`);
        const response = m.responseStream ? `AsyncIterable<${m.responseType}>` : m.responseType;
        out.push(`  ${m.name}: { request: ${m.requestType}; response: ${response} };`);
      }
      out.push("}");
    }
  }
  return out.join("\n") + "\n";
}

if (import.meta.main) {
  const proto = new URL("../proto/scistream.proto", import.meta.url);
  const target = new URL("../proto/messages.ts", import.meta.url);
  Deno.writeTextFileSync(target, messagesOf(Deno.readTextFileSync(proto)));
  new Deno.Command(Deno.execPath(), { args: ["fmt", "-q", target.pathname] }).outputSync();
}
