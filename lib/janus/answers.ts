/**
 * Janus' answers, with what SciStream needs of them.
 * @module
 */
import { oneLine } from "../protocol/errors.ts";
import { Shape, shapes } from "../shape.ts";
import { JanusError } from "./errors.ts";

/** A session of Janus': one request to create containers, and what has become of it. */
export interface JanusSession {
  id: number;
  /** INITIALIZED, STARTED, STOPPED, MIXED or, in newer versions, STALE. */
  state: string;
  /** What its creator called it: `kwargs.USER_NAME` of the request. Empty if it did not. */
  name: string;
  services: JanusService[];
}

/** A container of a session's. */
export interface JanusService {
  node: string;
  /** Undefined where it could not be made. */
  container?: string;
  /** What went wrong with it, in Janus' words. */
  errors: string[];
}

/** A node that Janus knows. */
export interface JanusNode {
  name: string;
  /** Whether Janus' backend reaches it, as far as Janus tells. */
  up: boolean;
}

/** What containers are made with. */
export interface JanusProfile {
  name: string;
  /** The name of its management network, such as `host` or `bridge`. */
  network: string;
  /** Names of the volumes that it mounts. */
  volumes: string[];
}

/** A folder that profiles mount. */
export interface JanusVolume {
  name: string;
  /** Its path on the node. */
  source: string;
  /** Its path in the container. */
  target: string;
}

/** A line of a container's log. */
export interface JanusLine {
  /** When it was written, so that later is greater; empty where Janus does not say. */
  at: string;
  /** Without its end. */
  text: string;
}

/** The wrong of {@linkcode Shape} for answers of this call. */
export function wrongAnswer(what: string): (how: string) => JanusError {
  return (how) =>
    new JanusError("janus", `Janus' answer ${how} (${what}); is --janus-url that of Janus?`);
}

/** Of `POST /create`: `{"1":{"id":1}}`. */
export function readCreated(value: unknown, what: string): number {
  const wrong = wrongAnswer(what);
  const answer = new Shape(value, wrong);
  const [key] = answer.keys();
  if (key === undefined) throw wrong("is empty");
  const id = answer.part(key).number("id", Number(key));
  if (!Number.isSafeInteger(id)) throw wrong("has no id");
  return id;
}

/**
 * Of `GET /active`. Left out is what is being made, which is an empty object there, and what cannot be
 * read: other users of Janus' keep other things there.
 */
export function readSessions(value: unknown, what: string): JanusSession[] {
  return shapes(value, wrongAnswer(what)).flatMap((each) => {
    try {
      return readRecord(each);
    } catch (error) {
      if (error instanceof JanusError) return [];
      throw error;
    }
  });
}

/** How many sessions of `GET /active` are being made. */
export function unfinished(value: unknown, what: string): number {
  return shapes(value, wrongAnswer(what)).filter((each) => each.keys().length === 0).length;
}

/** Of `GET /active/{id}`, and of a start or stop that changes nothing. */
export function readSession(value: unknown, what: string): JanusSession {
  return readRecord(new Shape(value, wrongAnswer(what)));
}

/** Of `PUT /start/{id}` and `PUT /stop/{id}`: `{"1":record}` on a change, else the bare record. */
export function readChange(value: unknown, what: string): JanusSession {
  const answer = new Shape(value, wrongAnswer(what));
  const [key, more] = answer.keys();
  return readRecord(
    key !== undefined && more === undefined && /^\d+$/.test(key) ? answer.part(key) : answer,
  );
}

function readRecord(record: Shape): JanusSession {
  const request = record.parts("request")[0];
  const services = record.part("services");
  return {
    id: record.number("id"),
    state: record.text("state"),
    name: request?.raw("kwargs") ? request.part("kwargs").text("USER_NAME", "") : "",
    services: services.keys().flatMap((node) =>
      services.parts(node).map((each) => ({
        node,
        container: each.text("container_id", "") || undefined,
        errors: each.parts("errors").map(readError),
      }))
    ),
  };
}

/** `{"reason": "Not Found", "response": {"message": "No such image"}}`, or a text as the response. */
function readError(error: Shape): string {
  const response = error.raw("response");
  const said = response
    ? new Shape(response, wrongAnswer("errors")).text("message", JSON.stringify(response))
    : error.text("response", "");
  return oneLine([error.text("reason", ""), said].filter(Boolean).join(": "));
}

/** Of `GET /nodes`. Portainer's status 1 is up, 2 is down. */
export function readNodes(value: unknown, what: string): JanusNode[] {
  return shapes(value, wrongAnswer(what)).map((node) => ({
    name: node.text("name"),
    up: node.number("endpoint_status", 1) === 1,
  }));
}

/** Of `GET /images`: names without tags. */
export function readImages(value: unknown, what: string): string[] {
  return shapes(value, wrongAnswer(what)).map((image) => image.text("name"));
}

/** Of `GET /profiles`. */
export function readProfiles(value: unknown, what: string): JanusProfile[] {
  return shapes(value, wrongAnswer(what)).map((profile) => {
    const settings = profile.part("settings");
    const network = settings.raw("mgmt_net");
    return {
      name: profile.text("name"),
      network: network ? settings.part("mgmt_net").text("name", "") : settings.text("mgmt_net", ""),
      volumes: settings.texts("volumes"),
    };
  });
}

/** Of `GET /profiles/volume`; volumes that are no bind mounts are left out. */
export function readVolumes(value: unknown, what: string): JanusVolume[] {
  return shapes(value, wrongAnswer(what)).flatMap((volume) => {
    const settings = volume.part("settings");
    if (settings.text("type") !== "bind") return [];
    return {
      name: volume.text("name"),
      source: settings.text("source"),
      target: settings.text("target"),
    };
  });
}

/** Of `GET /active/{id}/logs/{node}?timestamps=1`; a terminal's lines, so with CR LF. */
export function readLog(value: unknown, what: string): JanusLine[] {
  const text = new Shape(value, wrongAnswer(what)).text("response");
  return text.split(/\r?\n/).map((line) => {
    const [, at = "", rest = line] = /^(\d{4}-\d\d-\d\dT[\d:.]+Z) ?(.*)$/.exec(line) ?? [];
    return { at, text: rest.trimEnd() };
  }).filter(({ text }) => text !== "");
}
