/**
 * The engine's answers as {@link ./types.ts} has them.
 * @module
 */
import { jsonLines } from "./json_lines.ts";
import { dockerAction } from "./podman.ts";
import { Shape } from "./shape.ts";
import type { Container, ContainerSummary, EngineEvent, EngineImage, EngineInfo } from "./types.ts";

/** Of `GET /info`. */
export function readInfo(answer: Shape): EngineInfo {
  return {
    ServerVersion: answer.text("ServerVersion"),
    SecurityOptions: answer.texts("SecurityOptions"),
    Name: answer.text("Name", ""),
    OperatingSystem: answer.text("OperatingSystem", ""),
    CgroupVersion: answer.text("CgroupVersion", ""),
    MemoryLimit: answer.flag("MemoryLimit", false),
    SwapLimit: answer.flag("SwapLimit", false),
    PidsLimit: answer.flag("PidsLimit", false),
  };
}

/** Of `GET /containers/{id}/json`. */
export function readContainer(answer: Shape): Container {
  const state = answer.part("State");
  return {
    Id: answer.text("Id"),
    Name: plainName(answer.text("Name")),
    Image: answer.text("Image"),
    RestartCount: answer.number("RestartCount", 0),
    State: {
      Status: state.text("Status"),
      Running: state.flag("Running"),
      ExitCode: state.number("ExitCode"),
      Error: state.text("Error", ""),
      OOMKilled: state.flag("OOMKilled", false),
      StartedAt: state.text("StartedAt", ""),
      Pid: state.number("Pid", 0),
    },
    Config: { Labels: answer.part("Config").map("Labels") },
    HostConfig: answer.raw("HostConfig"),
  };
}

/** Of each of `GET /containers/json`. */
export function readSummary(answer: Shape): ContainerSummary {
  return {
    Id: answer.text("Id"),
    Names: answer.texts("Names").map(plainName),
    Image: answer.text("Image", ""),
    Labels: answer.map("Labels"),
    State: answer.text("State"),
  };
}

/** Of `GET /images/{name}/json`. */
export function readImage(answer: Shape): EngineImage {
  return {
    Id: answer.text("Id"),
    RepoTags: answer.texts("RepoTags"),
    RepoDigests: answer.texts("RepoDigests"),
  };
}

/** Yields once, undefined, before it reads; then what `GET /events` tells. */
export async function* readEvents(
  body: AsyncGenerator<Uint8Array>,
  what: string,
): AsyncGenerator<EngineEvent | undefined> {
  try {
    yield undefined;
    for await (const line of jsonLines(body, what)) {
      const event = new Shape(line, what);
      const actor = event.part("Actor");
      const [Type, action] = [event.text("Type"), event.text("Action")];
      yield {
        Type,
        // Of a Swarm's objects Docker's own word is what podman says of containers.
        Action: Type === "container" ? dockerAction(action) : action,
        Actor: { ID: actor.text("ID", ""), Attributes: actor.map("Attributes") },
        timeMs: event.number("timeNano") / 1e6,
      };
    }
  } finally {
    await body.return(undefined);
  }
}

function plainName(name: string): string {
  return name.replace(/^\//, "");
}
